// Opens a file for reading from a position, by format and compression.
import { MillraceError } from "../../../base/errors.ts";
import { Signal } from "../../../base/signal.ts";
import type { SourceContext } from "../../../core/ports/source.ts";
import { csvColumns } from "../csv/csv-columns.ts";
import { CsvReading } from "../csv/csv-reading.ts";
import { CsvRecordReader, headerNames } from "../csv/csv-record.ts";
import { ParquetFile } from "../parquet/parquet-file.ts";
import { ParquetReading } from "../parquet/parquet-reading.ts";
import { type Compression, compressionOf, decompressed } from "../store/compression.ts";
import type { ByteStream, FileStore } from "../store/file-store.ts";
import { BlockFeed } from "./block-feed.ts";
import type { FilesConfig } from "./files-options.ts";
import { LinesReading } from "./lines-reading.ts";
import { type CutterOptions, RecordCutter } from "./record-cutter.ts";
import { badReporter, type ReportBad, type SplitReading } from "./split-reading.ts";

/** Opens `path` at `position`: a byte, a line where the file is compressed, a row of a Parquet file. */
export async function openReading(
  config: FilesConfig,
  store: FileStore,
  context: SourceContext,
  path: string,
  position: number,
  notify: () => void,
): Promise<SplitReading> {
  const reportBad = badReporter(
    context,
    path,
    (code, place, reason) => new MillraceError(code, place, reason, "mend the file or the schema"),
  );
  if (config.format === "parquet") {
    const file = await store.openRandom(path);
    const parquet = await ParquetFile.open(path, file, config.schema).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    return new ParquetReading(path, config.schema, parquet, position, notify, reportBad, () => file.close());
  }
  const compression = config.compression === "auto" ? compressionOf(path) : config.compression;
  if (config.format === "csv") return openCsv(config, store, path, compression, position, notify, reportBad);
  const { feed, cutter } = await openLines(config, store, path, compression, position, false, notify, reportBad);
  return new LinesReading(path, feed, cutter);
}

async function openStream(store: FileStore, path: string, compression: Compression, fromByte: number): Promise<ByteStream> {
  if (compression === "none") return store.openStream(path, fromByte);
  return decompressed(path, await store.openStream(path, 0), compression);
}

async function openLines(
  config: FilesConfig,
  store: FileStore,
  path: string,
  compression: Compression,
  position: number,
  quoted: boolean,
  notify: () => void,
  reportBad: ReportBad,
): Promise<{ readonly feed: BlockFeed; readonly cutter: RecordCutter }> {
  const byLine = compression !== "none";
  const offset = byLine ? 0 : position;
  const feed = new BlockFeed(await openStream(store, path, compression, offset), offset, config.follow, notify);
  const options: CutterOptions = {
    maxRecordBytes: config.maxRecordBytes,
    quoted,
    byLine,
    skipLines: byLine ? position : 0,
    follow: config.follow,
    onTooLong: (at, start, reason) => reportBad("RECORD_TOO_LONG", at, start, reason),
  };
  return { feed, cutter: new RecordCutter(feed, options) };
}

async function openCsv(
  config: FilesConfig & { readonly format: "csv" },
  store: FileStore,
  path: string,
  compression: Compression,
  position: number,
  notify: () => void,
  reportBad: ReportBad,
): Promise<SplitReading> {
  const { schema, csv } = config;
  const header = csv.header === false ? { names: undefined, end: 0 } : await readHeader(config, store, path, compression);
  const columns = header === undefined ? undefined : csvColumns(path, schema, header.names);
  const from = Math.max(position, header?.end ?? 0);
  const { feed, cutter } = await openLines(config, store, path, compression, from, true, notify, reportBad);
  // A file without a header line has no records either: its columns are never asked for.
  const reader = new CsvRecordReader(columns ?? { byPlace: [], absent: [] }, csv);
  return new CsvReading(path, schema, feed, cutter, reader, reportBad);
}

/** The names in the first record and the position after it; undefined for an empty file. */
async function readHeader(
  config: FilesConfig & { readonly format: "csv" },
  store: FileStore,
  path: string,
  compression: Compression,
): Promise<{ readonly names: readonly string[]; readonly end: number } | undefined> {
  const changed = new Signal();
  const tooLong: ReportBad = (_code, _position, _value, reason) => {
    throw new MillraceError("FILES_CORRUPT", path, `its header is too long: ${reason}`, "set csv.header to false if there is none");
  };
  const { feed, cutter } = await openLines(config, store, path, compression, 0, true, () => changed.notify(), tooLong);
  try {
    while (cutter.cut(1) === 0) {
      if (feed.failure !== undefined) throw feed.failure;
      if (cutter.ended) return undefined;
      await changed.next();
    }
    const record = feed.window.subarray(cutter.starts[0], cutter.ends[0]);
    return { names: headerNames(path, record, config.csv), end: cutter.position };
  } finally {
    await feed.close();
  }
}
