// Files: NDJSON and other lines, CSV and Parquet; on this machine and in S3; to read and to write.
export type { CsvOptions } from "./csv/csv-record.ts";
export { files, type FilesLinesEndpoint, type FilesRowsEndpoint } from "./source/files-source.ts";
export type { FilesLinesOptions, FilesReadOptions, FilesRowsOptions } from "./source/files-options.ts";
export type { FilesS3Options } from "./store/s3-client.ts";
export { filesSink } from "./sink/files-sink.ts";
export type { FilesSinkOptions } from "./sink/sink-options.ts";
