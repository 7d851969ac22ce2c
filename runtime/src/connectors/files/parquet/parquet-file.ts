// An open Parquet file: its row groups, each loaded whole as one array per field of the schema.
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { AsyncBuffer, Compressors, DecodedArray, FileMetaData, ParquetParsers } from "hyparquet";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import { fromJson } from "../../../core/codec/json-value.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import type { RandomFile } from "../store/file-store.ts";
import { corrupt } from "../store/store-errors.ts";
import { type ConvertValue, planValue, unfit } from "./parquet-values.ts";

/** Snappy comes with hyparquet; the others with Node. */
const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input),
  ZSTD: (input) => zstdDecompressSync(input),
  BROTLI: (input) => brotliDecompressSync(input),
};

/** Leaves instants and days as numbers: converters know their units. */
const plainParsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (value) => value,
  timestampFromMicroseconds: (value) => value,
  timestampFromNanoseconds: (value) => value,
  dateFromDays: (value) => value,
};

/** How a field is found in the file. */
export interface ParquetField {
  readonly field: SchemaField;
  /** The column's name in the file; undefined where the file does not have it. */
  readonly column: string | undefined;
  readonly convert: ConvertValue;
  /** The value where the file has none; `unfit` where there must be one. */
  readonly absent: unknown;
}

export interface RowGroup {
  readonly firstRow: number;
  readonly rowCount: number;
}

export interface LoadedGroup extends RowGroup {
  /** By field; undefined where the file does not have the column. */
  readonly columns: readonly (DecodedArray | undefined)[];
}

export class ParquetFile {
  readonly path: string;
  readonly fields: readonly ParquetField[];
  readonly groups: readonly RowGroup[];
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;

  private constructor(
    path: string,
    fields: readonly ParquetField[],
    groups: readonly RowGroup[],
    buffer: AsyncBuffer,
    metadata: FileMetaData,
  ) {
    this.path = path;
    this.fields = fields;
    this.groups = groups;
    this.#buffer = buffer;
    this.#metadata = metadata;
  }

  /** Reads the footer. Rejects with FILES_CORRUPT, or FILES_SCHEMA_MISFIT where a column cannot be its field. */
  static async open(path: string, file: RandomFile, schema: Schema): Promise<ParquetFile> {
    const { parquetMetadataAsync, parquetSchema } = await import("hyparquet");
    const buffer: AsyncBuffer = { byteLength: file.sizeBytes, slice: (start, end = file.sizeBytes) => file.slice(start, end) };
    const metadata = await parquetMetadataAsync(buffer, { geoparquet: false }).catch((error: unknown) => {
      throw isMillraceError(error) ? error : corrupt(path, `is not a Parquet file: ${messageOf(error)}`, error);
    });
    const columns = parquetSchema(metadata).children;
    const fields = schema.fields.map((field): ParquetField => {
      const { name, spec } = field;
      const names = [spec.wireName ?? name, ...spec.aliases];
      const tree = names.map((wanted) => columns.find((column) => column.element.name === wanted)).find((found) => found !== undefined);
      const absent = spec.nullable
        ? null
        : spec.optional
          ? undefined
          : spec.default === undefined
            ? unfit
            : fromJson(name, spec, spec.default);
      const convert = tree === undefined ? undefined : planValue(tree, spec);
      if (tree === undefined && absent === unfit) {
        const problem = `it has no column "${names[0]}", only ${columns
          .map((column) => column.element.name)
          .join(", ")
          .slice(0, 500)}`;
        throw new MillraceError(
          "FILES_SCHEMA_MISFIT",
          path,
          problem,
          "correct the schema, name the column by .from(), or make the field optional",
        );
      }
      if (tree !== undefined && convert === undefined) {
        const { type, converted_type: converted, logical_type: logical } = tree.element;
        const stored = [type ?? "a group", converted ?? logical?.type].filter((part) => part !== undefined).join(", ");
        throw new MillraceError(
          "FILES_SCHEMA_MISFIT",
          path,
          `its column "${tree.element.name}" is ${stored}, not ${spec.type.kind}`,
          "correct the schema",
        );
      }
      return { field, column: tree?.element.name, convert: convert ?? ((raw) => raw), absent };
    });
    let firstRow = 0;
    const groups = metadata.row_groups.map((group): RowGroup => {
      const rowCount = Number(group.num_rows);
      const found = { firstRow, rowCount };
      firstRow += rowCount;
      return found;
    });
    return new ParquetFile(path, fields, groups, buffer, metadata);
  }

  get rowCount(): number {
    const last = this.groups.at(-1);
    return last === undefined ? 0 : last.firstRow + last.rowCount;
  }

  /** Loads the wanted columns of a row group. Rejects with FILES_CORRUPT or FILES_COMPRESSION_UNSUPPORTED. */
  async load(group: RowGroup): Promise<LoadedGroup> {
    const { parquetScan } = await import("hyparquet");
    const wanted = this.fields.flatMap(({ column }) => column ?? []);
    const range = { rowStart: group.firstRow, rowEnd: group.firstRow + group.rowCount };
    const common = {
      file: this.#buffer,
      metadata: this.#metadata,
      compressors,
      parsers: plainParsers,
      utf8: false,
      geoparquet: false,
      useOffsetIndex: false,
    };
    try {
      const scan = await parquetScan({ ...common, columns: wanted, ...range });
      const columns = await Promise.all(
        this.fields.map(({ column }) => (column === undefined ? Promise.resolve(undefined) : scan.readColumn({ column, ...range }))),
      );
      return { ...group, columns };
    } catch (error) {
      if (isMillraceError(error)) throw error;
      const problem = messageOf(error);
      if (!problem.includes("compression codec")) throw corrupt(this.path, `is damaged: ${problem}`, error);
      throw new MillraceError(
        "FILES_COMPRESSION_UNSUPPORTED",
        this.path,
        problem,
        "write it with SNAPPY, GZIP, ZSTD, BROTLI or no compression",
        { cause: error },
      );
    }
  }
}
