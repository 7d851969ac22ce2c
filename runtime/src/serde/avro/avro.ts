// The Avro format: binary records of a known schema, or in Confluent's wire format with a schema registry.
import { ByteReader } from "../../base/bytes.ts";
import { MillraceError, isMillraceError } from "../../base/errors.ts";
import { refuseUnknownOptions } from "../../base/options.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { BadRecordHandler, Format, RecordDecoder } from "../../core/ports/format.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { BadRecord } from "../bad-record.ts";
import { blockBytes, freshRows } from "../fresh-rows.ts";
import { frameBytes, frameId, frameOf } from "../registry/framing.ts";
import { SchemaRegistry, type SchemaRegistryOptions } from "../registry/registry.ts";
import { withWireForms } from "../wire-forms.ts";
import { Unfit } from "./avro-conversion.ts";
import { AvroEncoder } from "./avro-encoder.ts";
import { AvroRowReader } from "./avro-row-reader.ts";
import { avroSchemaOf } from "./avro-schema-of.ts";
import { parseAvroSchema } from "./avro-schema.ts";

export interface AvroOptions {
  /** The registry that knows the schemas of records; records then start with a zero byte and the schema's id. */
  readonly registry?: SchemaRegistryOptions;
  /** The registry's subject to write to, such as `bids-value`; needed for writing with a registry. */
  readonly subject?: string;
  /** Adds the schema of written rows to the subject where it is new. Default false: it must be there. */
  readonly register?: boolean;
  /** The schema that records without a registry are written with, as JSON or its text. Default: the one of the rows. */
  readonly writtenWith?: unknown;
  /** The name of the record in the schema of written rows. Default `Row`. */
  readonly recordName?: string;
}

/** Written schemas that one decoder keeps ready. */
const maxReaders = 1000;

/** Reads rows by the schema that an id stands for; `readerOf` throws BadRecord for one that cannot be used. */
class AvroDecoder implements RecordDecoder {
  readonly #framed: boolean;
  readonly #readerOf: (id: number) => AvroRowReader;

  constructor(framed: boolean, readerOf: (id: number) => AvroRowReader) {
    this.#framed = framed;
    this.#readerOf = readerOf;
  }

  want(): void {
    // A record is read from front to back, so every field is read.
  }

  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number {
    freshRows(records, rows);
    const bytes = blockBytes(records);
    for (const column of rows.columns) if (column.kind === "text") column.bytes = bytes;
    let reader = new ByteReader(bytes);
    let selected = 0;
    for (let row = 0; row < records.count; row++) {
      try {
        this.#read(reader, records, rows, row);
        selection[selected++] = row;
      } catch (error) {
        if (error instanceof BadRecord) onBad(row, error.code, error.message);
        else if (error instanceof RangeError) onBad(row, "RECORD_UNPARSABLE", error.message);
        else throw error;
        reader = new ByteReader(bytes);
      }
    }
    rows.ready.fill(1);
    return selected;
  }

  #read(reader: ByteReader, records: RawRecords, rows: Rows, row: number): void {
    const start = records.valueStart[row] as number;
    const end = records.valueEnd[row] as number;
    if (start < 0) throw new BadRecord("RECORD_UNPARSABLE", "the record has no value");
    let id = 0;
    if (this.#framed) {
      id = frameId(reader.buffer, start, end);
      if (id < 0) throw new BadRecord("RECORD_UNPARSABLE", "the record does not start with a zero byte and a schema id");
    }
    reader.position = this.#framed ? start + frameBytes : start;
    reader.end = end;
    this.#readerOf(id).read(reader, rows.columns, row);
    if (reader.position !== end)
      throw new BadRecord("RECORD_UNPARSABLE", `the record has ${end - reader.position} bytes more than its schema says`);
  }
}

// Readers by schema id; what cannot be read is remembered too, so that it is asked for once.
function registryReaders(schema: Schema, registry: SchemaRegistry): (id: number) => AvroRowReader {
  const readers = new Map<number, AvroRowReader | BadRecord>();
  const make = (id: number): AvroRowReader | BadRecord => {
    try {
      const { type, text, references } = registry.schemaNow(id);
      if (type !== "AVRO") return new BadRecord("RECORD_UNPARSABLE", `schema ${id} is not an Avro schema but ${type}`);
      const reader = AvroRowReader.make(
        parseAvroSchema(
          text,
          references.map((reference) => reference.text),
        ),
        schema,
      );
      return reader instanceof Unfit ? new BadRecord("RECORD_MISFIT", `schema ${id}: ${reader.reason}`) : reader;
    } catch (error) {
      // A record with an id that nobody knows is a bad record; a registry that does not answer is a failure.
      if (isMillraceError(error, "SCHEMA_NOT_FOUND")) return new BadRecord("RECORD_UNPARSABLE", `schema ${id} is not in the registry`);
      if (isMillraceError(error, "SCHEMA_INVALID")) return new BadRecord("RECORD_UNPARSABLE", error.message);
      throw error;
    }
  };
  return (id) => {
    let reader = readers.get(id);
    if (reader === undefined) {
      if (readers.size >= maxReaders) readers.clear();
      reader = make(id);
      readers.set(id, reader);
    }
    if (reader instanceof BadRecord) throw reader;
    return reader;
  };
}

/**
 * Avro's binary encoding. Fields are paired by name; numbers widen as in Avro's schema resolution, and what would be rounded or cut is a
 * bad record. Without a registry all records have one schema; with one each record names its own, and may have been written with any
 * version of it.
 */
export function avro<Row>(schema: Schema<Row>, options: AvroOptions = {}): Format<Row> {
  refuseUnknownOptions("format avro", options, ["registry", "subject", "register", "writtenWith", "recordName"]);
  const registry = options.registry === undefined ? undefined : new SchemaRegistry(options.registry);
  return {
    name: "avro",
    schema,
    options: {
      ...(registry === undefined ? {} : { registry: registry.address }),
      ...(options.subject === undefined ? {} : { subject: options.subject }),
    },
    async openDecoder() {
      if (registry !== undefined) {
        const readerOf = registryReaders(schema, registry);
        // Asking now shows a wrong address at the start, and spares the first record the wait.
        if (options.subject !== undefined) await registry.latest(options.subject);
        return new AvroDecoder(true, readerOf);
      }
      const reader = AvroRowReader.make(parseAvroSchema(options.writtenWith ?? avroSchemaOf(schema)), schema);
      if (reader instanceof Unfit)
        throw new MillraceError("FORMAT_SCHEMA_MISFIT", "format avro", reader.reason, "change the schema, or declare a default");
      return new AvroDecoder(false, () => reader);
    },
    async openEncoder(rowSchema) {
      const rows = withWireForms(rowSchema, schema);
      if (registry === undefined) return new AvroEncoder(rows, Buffer.alloc(0));
      if (options.subject === undefined) {
        throw new MillraceError(
          "OPTION_INVALID",
          'format avro option "subject"',
          "is needed to write with a registry",
          'give the subject, such as "bids-value"',
        );
      }
      const text = JSON.stringify(avroSchemaOf(rows, options.recordName));
      const id = await registry.idOf(options.subject, { type: "AVRO", text }, options.register ?? false);
      return new AvroEncoder(rows, frameOf(id));
    },
  };
}
