// The options of the files sink, checked and with their defaults.
import { parseDuration } from "../../../base/duration.ts";
import { MillraceError } from "../../../base/errors.ts";
import { integerOption, positiveOption, refuseUnknownOptions } from "../../../base/options.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { Delivery } from "../../../core/ports/sink.ts";
import { type CsvOptions, delimiterByte } from "../csv/csv-record.ts";
import type { Compression } from "../store/compression.ts";
import { type Location, parseLocation } from "../store/location.ts";
import { type FilesS3Options, filesS3OptionNames } from "../store/s3-client.ts";

export interface FilesSinkOptions {
  /** The directory, or `s3://bucket/prefix`. It is made if it is not there. */
  readonly path: string;
  /** A text format such as `json()` writes lines; or `csv`, `parquet`. */
  readonly format: Format | "csv" | "parquet";
  readonly csv?: CsvOptions;
  /** Directories by the values of rows: `year={at:yyyy}/month={at:MM}/country={country}`; `{$time:yyyy-MM-dd}` is the event time, UTC. */
  readonly partition?: string;
  /** A file is ended when it has so many bytes, before compression. Default 128 MiB. */
  readonly maxFileBytes?: number;
  /** ... or so many rows. Default no limit. */
  readonly maxFileRows?: number;
  /** ... or is so old: ms or text such as `"10 min"`. Default no limit. A checkpoint ends every file. */
  readonly maxFileAge?: number | string;
  /** Default `exactly-once`: files are seen when the checkpoint after them is complete. `at-least-once`: when they are ended. */
  readonly delivery?: Delivery;
  /**
   * Writes `_batches/*.json` too: one for each checkpoint, once all of its files can be seen, so that readers who go by them see whole
   * batches. Needs exactly-once and one instance, as a DataFrame query has. Default false.
   */
  readonly manifest?: boolean;
  /** Default `none`. Parquet is compressed inside: `none` is Snappy there. */
  readonly compression?: Compression;
  /** Files that are written at the same time, of different partitions; above it the one that was begun first is ended. Default 64. */
  readonly maxOpenFiles?: number;
  readonly s3?: FilesS3Options;
}

export interface FilesSinkConfig {
  readonly location: Location;
  readonly format: Format | "csv" | "parquet";
  readonly csv: CsvOptions;
  readonly partition: string | undefined;
  readonly maxFileBytes: number;
  readonly maxFileRows: number;
  readonly maxFileAgeMs: number;
  readonly delivery: Delivery;
  readonly manifest: boolean;
  readonly compression: Compression;
  readonly maxOpenFiles: number;
  readonly s3: FilesS3Options;
}

const subject = "files sink";
const known: readonly (keyof FilesSinkOptions)[] = [
  "path",
  "format",
  "csv",
  "partition",
  "maxFileBytes",
  "maxFileRows",
  "maxFileAge",
  "delivery",
  "manifest",
  "compression",
  "maxOpenFiles",
  "s3",
];
/** Formats whose records are bytes that may hold line ends. */
const binaryFormats: ReadonlySet<string> = new Set(["avro", "protobuf", "raw"]);

function invalid(name: string, value: unknown, next: string): MillraceError {
  return new MillraceError("OPTION_INVALID", `${subject} option "${name}"`, `${JSON.stringify(value)} is not usable`, next);
}

/** Checks the options. Throws OPTION_UNKNOWN and OPTION_INVALID. */
export function filesSinkConfig(options: FilesSinkOptions): FilesSinkConfig {
  refuseUnknownOptions(subject, options, known);
  const { format, csv = {}, s3 = {}, delivery = "exactly-once", compression = "none" } = options;
  if (typeof options.path !== "string") throw invalid("path", options.path, "give a directory or s3://bucket/prefix");
  const location = parseLocation(options.path);
  if (location.matches !== undefined) throw invalid("path", options.path, "give a directory, not a pattern");
  if (format !== "csv" && format !== "parquet" && (typeof format !== "object" || format === null)) {
    throw invalid("format", format, 'give a format such as json(), or "csv" or "parquet"');
  }
  if (typeof format === "object" && binaryFormats.has(format.name)) {
    throw invalid("format", format.name, "records are written as lines: use a text format, csv or parquet");
  }
  if (delivery !== "exactly-once" && delivery !== "at-least-once") throw invalid("delivery", delivery, "use exactly-once or at-least-once");
  const { manifest = false } = options;
  if (typeof manifest !== "boolean") throw invalid("manifest", manifest, "use true or false");
  if (manifest && delivery !== "exactly-once")
    throw invalid("manifest", true, "leave out the delivery: batches are whole with exactly-once");
  if (!["none", "gzip", "zstd"].includes(compression)) throw invalid("compression", compression, "use none, gzip or zstd");
  refuseUnknownOptions(`${subject} csv`, csv, ["delimiter", "header", "nullText"]);
  refuseUnknownOptions(`${subject} s3`, s3, filesS3OptionNames);
  delimiterByte(csv);
  const ageMs = options.maxFileAge === undefined ? Number.POSITIVE_INFINITY : parseDuration(options.maxFileAge, "files sink maxFileAge");
  return {
    location,
    format,
    csv,
    partition: options.partition,
    maxFileBytes: integerOption(subject, "maxFileBytes", options.maxFileBytes, 128 * (1 << 20), 1, Number.POSITIVE_INFINITY),
    maxFileRows: integerOption(subject, "maxFileRows", options.maxFileRows, Number.POSITIVE_INFINITY, 1, Number.POSITIVE_INFINITY),
    maxFileAgeMs: positiveOption(subject, "maxFileAge", ageMs, Number.POSITIVE_INFINITY),
    delivery,
    manifest,
    compression,
    maxOpenFiles: integerOption(subject, "maxOpenFiles", options.maxOpenFiles, 64, 1, 10_000),
    s3,
  };
}

const compressedEndings: Readonly<Record<Compression, string>> = { none: "", gzip: ".gz", zstd: ".zst" };

/** What the names of files end with. */
export function fileEnding({ format, compression }: FilesSinkConfig): string {
  if (format === "parquet") return ".parquet";
  const name = format === "csv" ? "csv" : format.name.endsWith("json") ? "ndjson" : format.name === "string" ? "txt" : format.name;
  return `.${name}${compressedEndings[compression]}`;
}

/** What the plan prints. */
export function printedSinkOptions(config: FilesSinkConfig): Readonly<Record<string, unknown>> {
  const { location, format, partition, maxFileBytes, maxFileRows, maxFileAgeMs, delivery, manifest, compression, s3 } = config;
  return {
    path: location.text,
    format: typeof format === "string" ? format : format.name,
    delivery,
    compression,
    ...(manifest ? { manifest } : {}),
    ...(partition === undefined ? {} : { partition }),
    ...(Number.isFinite(maxFileBytes) ? { maxFileBytes } : {}),
    ...(Number.isFinite(maxFileRows) ? { maxFileRows } : {}),
    ...(Number.isFinite(maxFileAgeMs) ? { maxFileAgeMs } : {}),
    ...(s3.endpoint === undefined ? {} : { s3Endpoint: s3.endpoint }),
  };
}
