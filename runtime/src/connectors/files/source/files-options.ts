// The options of the files source, checked and with their defaults.
import { parseDuration } from "../../../base/duration.ts";
import { MillraceError } from "../../../base/errors.ts";
import { integerOption, positiveOption, refuseUnknownOptions } from "../../../base/options.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { type CsvOptions, delimiterByte } from "../csv/csv-record.ts";
import type { Compression } from "../store/compression.ts";
import { type Location, parseLocation } from "../store/location.ts";
import { type FilesS3Options, filesS3OptionNames } from "../store/s3-client.ts";

export interface FilesReadOptions {
  /** A file, a directory (with all below it) or a glob; local, or `s3://bucket/...`. Names that begin with `.` or `_` are left out. */
  readonly path: string;
  /** The source ends when the files that are there have been read. Default true; else new files are looked for. */
  readonly bounded?: boolean;
  /** How often new files are looked for, and files that are followed for new lines: ms or text such as `"10 s"`. Default 10 s. */
  readonly discoverInterval?: number | string;
  /** In which order files are read: by their names, or by when they were written. Default name. */
  readonly order?: "name" | "modified";
  /**
   * The files, in the order of their names, follow each other in time, as files of one day each do: one that has not begun does not hold event time back.
   * Default false: its rows may have any time, so nothing is complete before every file has begun.
   */
  readonly inTimeOrder?: boolean;
  /** Default `auto`: by the end of the name, `.gz` and `.zst`. */
  readonly compression?: Compression | "auto";
  /** Longer records are bad records. Default 16 MiB, at most 256 MiB. */
  readonly maxRecordBytes?: number;
  /** How many files an instance reads at a time, in turn. Default 4; with `inTimeOrder` 1, because rows of a later file make those of an earlier one late. */
  readonly concurrentFiles?: number;
  /** Records per second of an instance. Default no limit. */
  readonly recordsPerSecond?: number;
  /** Reads only files of whole batches, as the files sink with `manifest` wrote them: a directory, no pattern. Default false. */
  readonly manifest?: boolean;
  readonly s3?: FilesS3Options;
}

/** Lines, each a record that a format decodes: NDJSON with a JSON format. */
export interface FilesLinesOptions<Row> extends FilesReadOptions {
  readonly format: Format<Row>;
  /** Files grow: what is added to them is read too. Only unbounded and not compressed. Default false. */
  readonly follow?: boolean;
}

/** Rows of CSV or Parquet files. */
export interface FilesRowsOptions<Row> extends FilesReadOptions {
  readonly format: "csv" | "parquet";
  readonly schema: Schema<Row>;
  readonly csv?: CsvOptions;
}

interface CommonConfig {
  readonly location: Location;
  readonly bounded: boolean;
  readonly discoverIntervalMs: number;
  readonly order: "name" | "modified";
  readonly inTimeOrder: boolean;
  readonly compression: Compression | "auto";
  readonly maxRecordBytes: number;
  readonly concurrentFiles: number;
  readonly recordsPerSecond: number;
  readonly manifest: boolean;
  readonly follow: boolean;
  readonly s3: FilesS3Options;
}

export type FilesConfig =
  | (CommonConfig & { readonly format: "lines"; readonly schema?: undefined })
  | (CommonConfig & { readonly format: "csv"; readonly schema: Schema; readonly csv: CsvOptions })
  | (CommonConfig & { readonly format: "parquet"; readonly schema: Schema });

const subject = "files";
const commonNames = [
  "path",
  "format",
  "bounded",
  "discoverInterval",
  "order",
  "inTimeOrder",
  "compression",
  "maxRecordBytes",
  "concurrentFiles",
  "recordsPerSecond",
  "manifest",
  "s3",
];
const mebibyte = 1 << 20;

function invalid(name: string, value: unknown, next: string): MillraceError {
  return new MillraceError("OPTION_INVALID", `${subject} option "${name}"`, `${JSON.stringify(value)} is not usable`, next);
}

function oneOf<T extends string>(name: string, value: T | undefined, fallback: T, known: readonly T[]): T {
  const chosen = value ?? fallback;
  if (known.includes(chosen)) return chosen;
  throw invalid(name, value, `use one of ${known.join(", ")}`);
}

/** Checks the options. Throws OPTION_UNKNOWN, OPTION_INVALID and FILES_SCHEMA_MISSING. */
export function filesConfig(options: FilesLinesOptions<unknown> | FilesRowsOptions<unknown>): FilesConfig {
  const { format } = options;
  if (format !== "csv" && format !== "parquet" && (typeof format !== "object" || format === null)) {
    throw invalid("format", format, 'give a format such as json(schema) for lines, or "csv" or "parquet" with a schema');
  }
  const common = commonConfig(options);
  if (format !== "csv" && format !== "parquet") {
    refuseUnknownOptions(subject, options, [...commonNames, "follow"]);
    const follow = (options as FilesLinesOptions<unknown>).follow ?? false;
    if (follow && common.bounded) throw invalid("follow", true, "set bounded to false");
    return { ...common, follow, format: "lines" };
  }
  const { schema, csv = {} } = options as FilesRowsOptions<unknown>;
  refuseUnknownOptions(subject, options, [...commonNames, "schema", ...(format === "csv" ? ["csv"] : [])]);
  if (schema === undefined) {
    throw new MillraceError(
      "FILES_SCHEMA_MISSING",
      `${subject} option "schema"`,
      `is missing: ${format} files are read as rows`,
      "give the schema of the rows",
    );
  }
  if (format === "parquet") return { ...common, format, schema };
  refuseUnknownOptions("files csv", csv, ["delimiter", "header", "nullText"]);
  delimiterByte(csv);
  return { ...common, format, schema, csv };
}

// When a file was written is not known again after a restore, so only names give an order that lasts.
function inTimeOrderOf({ inTimeOrder = false, order }: FilesReadOptions): boolean {
  if (typeof inTimeOrder !== "boolean") throw invalid("inTimeOrder", inTimeOrder, "use true or false");
  if (inTimeOrder && order === "modified") throw invalid("inTimeOrder", true, "leave out the order: it goes by the names of files");
  return inTimeOrder;
}

function manifestOf({ manifest = false, path }: FilesReadOptions): boolean {
  if (typeof manifest !== "boolean") throw invalid("manifest", manifest, "use true or false");
  if (manifest && parseLocation(path).matches !== undefined) throw invalid("path", path, "give the directory that the sink writes to");
  return manifest;
}

function commonConfig(options: FilesReadOptions): CommonConfig {
  if (typeof options.path !== "string") throw invalid("path", options.path, "give a file, a directory or a glob");
  const s3 = options.s3 ?? {};
  refuseUnknownOptions("files s3", s3, filesS3OptionNames);
  const intervalMs = parseDuration(options.discoverInterval ?? 10_000, "files discoverInterval");
  return {
    location: parseLocation(options.path),
    bounded: options.bounded ?? true,
    discoverIntervalMs: positiveOption(subject, "discoverInterval", intervalMs, 10_000),
    order: oneOf("order", options.order, "name", ["name", "modified"]),
    inTimeOrder: inTimeOrderOf(options),
    compression: oneOf("compression", options.compression, "auto", ["auto", "none", "gzip", "zstd"]),
    maxRecordBytes: integerOption(subject, "maxRecordBytes", options.maxRecordBytes, 16 * mebibyte, 1, 256 * mebibyte),
    concurrentFiles: integerOption(subject, "concurrentFiles", options.concurrentFiles, options.inTimeOrder === true ? 1 : 4, 1, 256),
    recordsPerSecond: positiveOption(subject, "recordsPerSecond", options.recordsPerSecond, Number.POSITIVE_INFINITY),
    manifest: manifestOf(options),
    follow: false,
    s3,
  };
}

/** What the plan prints. */
export function printedOptions(config: FilesConfig): Readonly<Record<string, unknown>> {
  const { location, bounded, order, inTimeOrder, compression, maxRecordBytes, concurrentFiles, recordsPerSecond, manifest, follow, s3 } =
    config;
  return {
    path: location.text,
    format: config.format,
    bounded,
    order,
    ...(inTimeOrder ? { inTimeOrder } : {}),
    compression,
    maxRecordBytes,
    concurrentFiles,
    ...(manifest ? { manifest } : {}),
    follow,
    ...(Number.isFinite(recordsPerSecond) ? { recordsPerSecond } : {}),
    ...(bounded ? {} : { discoverIntervalMs: config.discoverIntervalMs }),
    ...(s3.endpoint === undefined ? {} : { s3Endpoint: s3.endpoint }),
    ...(config.format === "csv" ? { csv: config.csv } : {}),
  };
}
