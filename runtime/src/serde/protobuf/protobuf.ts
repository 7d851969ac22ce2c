// The Protobuf format: messages of a .proto file, or in Confluent's wire format with a schema registry.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError, isMillraceError } from "../../base/errors.ts";
import { refuseUnknownOptions } from "../../base/options.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { readInteger, writeInteger } from "../../core/codec/varint.ts";
import type { BadRecordHandler, Format, RecordDecoder, RecordEncoder } from "../../core/ports/format.ts";
import type { Schema, SchemaField } from "../../core/schema/schema.ts";
import { BadRecord } from "../bad-record.ts";
import { blockBytes, freshRows } from "../fresh-rows.ts";
import { frameBytes, frameId, frameOf } from "../registry/framing.ts";
import { SchemaRegistry, type SchemaRegistryOptions } from "../registry/registry.ts";
import { withWireForms } from "../wire-forms.ts";
import { MessageReader } from "./message-reader.ts";
import { conversion } from "./proto-conversion.ts";
import { Unfit } from "./proto-scalars.ts";
import { type ProtoFile, type ProtoMessage, loadProtobufjs, parseProto } from "./proto-schema.ts";
import { protoSchemaOf, type ProtoSource } from "./proto-schema-of.ts";
import { type FieldWriter, fieldWriters } from "./proto-writer.ts";

export interface ProtobufOptions extends ProtoSource {
  /** The .proto file's text. Needed without a registry; with one it is what is written with. */
  readonly proto?: string;
  /** The registry that knows the schemas of records; records then start with a zero byte, the schema's id and the message's place. */
  readonly registry?: SchemaRegistryOptions;
  /** The registry's subject to write to; needed for writing with a registry. */
  readonly subject?: string;
  /** Adds the schema of written rows to the subject where it is new. Default false: it must be there. */
  readonly register?: boolean;
}

const maxReaders = 1000;
const maxPathLength = 32;

class ProtobufDecoder implements RecordDecoder {
  readonly #framed: boolean;
  readonly #readerOf: (id: number, path: readonly number[]) => MessageReader;

  constructor(framed: boolean, readerOf: (id: number, path: readonly number[]) => MessageReader) {
    this.#framed = framed;
    this.#readerOf = readerOf;
  }

  want(): void {
    // A message is read from front to back, so every field is read.
  }

  decode(records: RawRecords, rows: Rows, selection: Int32Array, onBad: BadRecordHandler): number {
    freshRows(records, rows);
    const bytes = blockBytes(records);
    for (const column of rows.columns) if (column.kind === "text") column.bytes = bytes;
    const reader = new ByteReader(bytes);
    let selected = 0;
    for (let row = 0; row < records.count; row++) {
      try {
        this.#read(reader, records, rows, row);
        selection[selected++] = row;
      } catch (error) {
        if (error instanceof BadRecord) onBad(row, error.code, error.message);
        else if (error instanceof RangeError) onBad(row, "RECORD_UNPARSABLE", error.message);
        else throw error;
      }
    }
    rows.ready.fill(1);
    return selected;
  }

  #read(reader: ByteReader, records: RawRecords, rows: Rows, row: number): void {
    const start = records.valueStart[row] as number;
    const end = records.valueEnd[row] as number;
    if (start < 0) throw new BadRecord("RECORD_UNPARSABLE", "the record has no value");
    reader.position = start;
    reader.end = end;
    if (!this.#framed) {
      this.#readerOf(0, firstMessage).readRow(reader, rows.columns, row);
      return;
    }
    const id = frameId(reader.buffer, start, end);
    if (id < 0) throw new BadRecord("RECORD_UNPARSABLE", "the record does not start with a zero byte and a schema id");
    reader.position = start + frameBytes;
    this.#readerOf(id, readPath(reader)).readRow(reader, rows.columns, row);
  }
}

const firstMessage: readonly number[] = [0];

// The places of a message in its file; a single zero stands for the first message.
function readPath(reader: ByteReader): readonly number[] {
  const length = readInteger(reader);
  if (length === 0) return firstMessage;
  if (length < 0 || length > maxPathLength) throw new RangeError(`${length} is no length of a path to a message`);
  return Array.from({ length }, () => readInteger(reader));
}

function makeReader(message: ProtoMessage, schema: Schema): MessageReader | Unfit {
  try {
    return new MessageReader("", message, schema.spec, conversion);
  } catch (error) {
    if (error instanceof Unfit) return error;
    throw error;
  }
}

// Readers by schema id and place; what cannot be read is remembered too, so that it is asked for once.
function registryReaders(
  schema: Schema,
  registry: SchemaRegistry,
  parse: (text: string, imports: Readonly<Record<string, string>>) => ProtoFile,
): (id: number, path: readonly number[]) => MessageReader {
  const readers = new Map<string, MessageReader | BadRecord>();
  const make = (id: number, path: readonly number[]): MessageReader | BadRecord => {
    try {
      const { type, text, references } = registry.schemaNow(id);
      if (type !== "PROTOBUF") return new BadRecord("RECORD_UNPARSABLE", `schema ${id} is not a Protobuf schema but ${type}`);
      const message = parse(text, Object.fromEntries(references.map((reference) => [reference.name, reference.text]))).messageAt(path);
      if (message === undefined) return new BadRecord("RECORD_UNPARSABLE", `schema ${id} has no message at ${path.join(", ")}`);
      const reader = makeReader(message, schema);
      return reader instanceof Unfit ? new BadRecord("RECORD_MISFIT", `schema ${id}: ${reader.message}`) : reader;
    } catch (error) {
      // A record with an id that nobody knows is a bad record; a registry that does not answer is a failure.
      if (isMillraceError(error, "SCHEMA_NOT_FOUND")) return new BadRecord("RECORD_UNPARSABLE", `schema ${id} is not in the registry`);
      if (isMillraceError(error, "SCHEMA_INVALID")) return new BadRecord("RECORD_UNPARSABLE", error.message);
      throw error;
    }
  };
  return (id, path) => {
    const key = `${id} ${path.join(" ")}`;
    let reader = readers.get(key);
    if (reader === undefined) {
      if (readers.size >= maxReaders) readers.clear();
      reader = make(id, path);
      readers.set(key, reader);
    }
    if (reader instanceof BadRecord) throw reader;
    return reader;
  };
}

class ProtobufEncoder implements RecordEncoder {
  readonly #frame: Uint8Array;
  readonly #fields: readonly { readonly field: SchemaField; readonly writer: FieldWriter }[];

  constructor(schema: Schema, message: ProtoMessage, frame: Uint8Array) {
    this.#frame = frame;
    this.#fields = fieldWriters("", message, schema.spec).map((writer) => ({ field: schema.field(writer.name), writer }));
  }

  encode(rows: Rows, row: number, writer: ByteWriter): boolean {
    writer.raw(this.#frame);
    for (const { field, writer: fieldWriter } of this.#fields) {
      const column = rows.column(field.index);
      const isRange =
        fieldWriter.textTag !== 0 && (column.starts[row] as number) >= 0 && (column.nulls === null || column.nulls[row] === 0);
      if (isRange) writeRange(writer, fieldWriter, column, row);
      else fieldWriter.write(writer, valueAt(column, field, row));
    }
    return true;
  }
}

// Text that is a range of bytes goes over without becoming a string.
function writeRange(writer: ByteWriter, { textTag, omitsEmpty }: FieldWriter, column: Column, row: number): void {
  const start = column.starts[row] as number;
  const end = column.ends[row] as number;
  if (start === end && omitsEmpty) return;
  writer.varint(textTag);
  writer.bytes(column.bytes, start, end);
}

function valueAt(column: Column, field: SchemaField, row: number): unknown {
  if (column.nulls !== null && column.nulls[row] !== 0) return undefined;
  switch (column.kind) {
    case "number":
      return field.spec.type.kind === "boolean" ? column.numbers[row] === 1 : column.numbers[row];
    case "int64":
      return column.exact?.get(row) ?? column.numbers[row];
    case "text":
      return column.getText(row);
    case "object":
      return column.objects[row];
  }
}

function pathBytes(path: readonly number[]): Buffer {
  if (path.length === 1 && path[0] === 0) return Buffer.of(0);
  const writer = new ByteWriter(16);
  writeInteger(writer, path.length);
  for (const place of path) writeInteger(writer, place);
  return writer.copy();
}

/**
 * Protobuf messages. Fields are paired by name; numbers and texts that a field cannot hold are bad records. A field that does
 * not occur reads as its type's zero where Protobuf cannot tell, else as the schema's default, missing or null. Needs the package
 * protobufjs, to read .proto files.
 */
export function protobuf<Row>(schema: Schema<Row>, options: ProtobufOptions = {}): Format<Row> {
  refuseUnknownOptions("format protobuf", options, ["proto", "imports", "message", "registry", "subject", "register"]);
  const registry = options.registry === undefined ? undefined : new SchemaRegistry(options.registry);
  if (registry === undefined && options.proto === undefined) {
    throw new MillraceError(
      "OPTION_INVALID",
      'format protobuf option "proto"',
      "is needed without a registry",
      "give the text of the .proto file",
    );
  }
  return {
    name: "protobuf",
    schema,
    options: {
      ...(options.message === undefined ? {} : { message: options.message }),
      ...(registry === undefined ? {} : { registry: registry.address }),
      ...(options.subject === undefined ? {} : { subject: options.subject }),
    },
    async openDecoder() {
      const protobufjs = await loadProtobufjs();
      if (registry !== undefined) {
        if (options.subject !== undefined) await registry.latest(options.subject);
        return new ProtobufDecoder(
          true,
          registryReaders(schema, registry, (text, imports) => parseProto(protobufjs, text, imports)),
        );
      }
      const reader = makeReader(parseProto(protobufjs, options.proto ?? "", options.imports).message(options.message), schema);
      if (reader instanceof Unfit)
        throw new MillraceError("FORMAT_SCHEMA_MISFIT", "format protobuf", reader.message, "change the schema, or declare a default");
      return new ProtobufDecoder(false, () => reader);
    },
    async openEncoder(rowSchema) {
      const rows = withWireForms(rowSchema, schema);
      const protobufjs = await loadProtobufjs();
      const text = options.proto ?? protoSchemaOf(rows, options.message);
      const file = parseProto(protobufjs, text, options.imports);
      const message = file.message(options.message);
      if (registry === undefined) return new ProtobufEncoder(rows, message, Buffer.alloc(0));
      if (options.subject === undefined) {
        throw new MillraceError(
          "OPTION_INVALID",
          'format protobuf option "subject"',
          "is needed to write with a registry",
          'give the subject, such as "bids-value"',
        );
      }
      const id = await registry.idOf(options.subject, { type: "PROTOBUF", text }, options.register ?? false);
      return new ProtobufEncoder(rows, message, Buffer.concat([frameOf(id), pathBytes(file.pathOf(message))]));
    },
  };
}
