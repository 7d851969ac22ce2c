// Reads the fields of one message type: into an object, or into the columns of a row. Fields may come in any order, more than once, or not at all.
import { ByteReader } from "../../base/bytes.ts";
import { type Column, isMissing, isNull } from "../../core/batch/column.ts";
import { defaultOf } from "../../core/codec/json-value.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { type WireField, wireFields } from "../json/wire-fields.ts";
import { absentPutter, putAbsent, putValue } from "../put-value.ts";
import { type Conversion, type Convert, type ReadDirectly, Unfit, directReader, within } from "./proto-scalars.ts";
import { misfit } from "../bad-record.ts";
import type { ProtoField, ProtoMessage, ProtoType } from "./proto-schema.ts";
import { readTag, skipField, wireBytes } from "./proto-wire.ts";

/** Takes one occurrence of a field; `before` is what earlier occurrences in the same message gave, or `notSeen`. */
type ReadOccurrence = (reader: ByteReader, wire: number, before: unknown) => unknown;

interface Slot {
  readonly field: WireField;
  /** Its place among the slots. */
  readonly place: number;
  readonly read: ReadOccurrence;
  readonly direct: ReadDirectly | undefined;
  readonly wire: number;
  /** What the field reads as where it did not occur; throws BadRecord where it must. */
  readonly absent: () => unknown;
}

const notSeen: unique symbol = Symbol("the field did not occur");
const inColumn: unique symbol = Symbol("the value is in its column");
const maxDepth = 100;

export class MessageReader {
  readonly #slots: readonly Slot[];
  readonly #byNumber: readonly (Slot | undefined)[];
  // Fields of large numbers.
  readonly #sparse = new Map<number, Slot>();
  readonly #missing: readonly WireField[];
  // Of the row being read; rows do not nest.
  readonly #rowValues: unknown[];
  #depth = 0;

  /** Throws Unfit where the message's fields cannot be those of `spec`. */
  constructor(prefix: string, message: ProtoMessage, spec: RowSpec, convert: Convert) {
    const slots: Slot[] = [];
    const byNumber: (Slot | undefined)[] = Array.from({ length: 256 }, () => undefined);
    this.#missing = wireFields(spec).filter((field) => {
      const written = message.fields.find(({ name }) => field.keys.includes(name));
      if (written === undefined) {
        if (!field.spec.optional && field.spec.default === undefined) throw new Unfit(`field "${prefix}${field.name}" is missing there`);
        return true;
      }
      const slot = slotOf(`${prefix}${field.name}`, field, written, slots.length, convert);
      slots.push(slot);
      if (written.number < byNumber.length) byNumber[written.number] = slot;
      else this.#sparse.set(written.number, slot);
      return false;
    });
    this.#slots = slots;
    this.#byNumber = byNumber;
    this.#rowValues = slots.map(() => notSeen);
  }

  /** Reads up to the reader's end. */
  readObject(reader: ByteReader): Record<string, unknown> {
    if (++this.#depth > maxDepth) throw new RangeError(`a message at ${reader.position} is nested deeper than ${maxDepth} levels`);
    try {
      const values: unknown[] = this.#slots.map(() => notSeen);
      this.#readFields(reader, values, undefined, 0);
      const row: Record<string, unknown> = {};
      for (const slot of this.#slots) {
        const value = valueOf(slot, values[slot.place]);
        if (value !== undefined) row[slot.field.name] = value;
      }
      for (const { name, spec } of this.#missing) if (spec.default !== undefined) row[name] = defaultOf(name, spec);
      return row;
    } finally {
      this.#depth--;
    }
  }

  /** Reads up to the reader's end into row `row` of columns in the order of the spec. */
  readRow(reader: ByteReader, columns: readonly Column[], row: number): void {
    const values = this.#rowValues;
    values.fill(notSeen);
    this.#readFields(reader, values, columns, row);
    for (const slot of this.#slots) {
      const found = values[slot.place];
      if (found === inColumn) continue;
      const column = columns[slot.field.index] as Column;
      const value = valueOf(slot, found);
      if (value === undefined) putAbsent(column, row, isMissing);
      else if (value === null) putAbsent(column, row, isNull);
      else putValue(column, row, value);
    }
    for (const { index, name, spec } of this.#missing) absentPutter(name, spec)(columns[index] as Column, row);
  }

  #readFields(reader: ByteReader, values: unknown[], columns: readonly Column[] | undefined, row: number): void {
    while (reader.position < reader.end) {
      const tag = readTag(reader);
      const number = tag >>> 3;
      const slot = number < 256 ? this.#byNumber[number] : this.#sparse.get(number);
      if (slot === undefined) skipField(reader, tag);
      else if (columns !== undefined && slot.direct !== undefined && (tag & 7) === slot.wire) {
        slot.direct(reader, columns[slot.field.index] as Column, row, values[slot.place] === inColumn);
        values[slot.place] = inColumn;
      } else values[slot.place] = slot.read(reader, tag & 7, values[slot.place]);
    }
  }
}

function valueOf(slot: Slot, found: unknown): unknown {
  if (found === notSeen) return slot.absent();
  return found instanceof Pending ? found.value : found;
}

// A message that may occur again: its bytes so far, because two occurrences are merged by joining their bytes.
class Pending {
  readonly bytes: Buffer;
  readonly value: unknown;

  constructor(bytes: Buffer, value: unknown) {
    this.bytes = bytes;
    this.value = value;
  }
}

function wrongWire(name: string, wire: number): never {
  return misfit(name, `has wire type ${wire}, which is not its type's`);
}

function slotOf(name: string, field: WireField, written: ProtoField, place: number, convert: Convert): Slot {
  const { spec } = field;
  const shared = { field, place, absent: absentValue(name, written, spec, convert) };
  if (written.type.kind === "map")
    return { ...shared, wire: wireBytes, direct: undefined, read: mapRead(name, written.type, spec, convert) };
  if (written.repeated) return { ...shared, wire: wireBytes, direct: undefined, read: listRead(name, written, spec, convert) };
  const value = convert(name, written.type, spec);
  const readOne: ReadOccurrence = (reader, wire) => (wire === value.wire ? value.read(reader) : wrongWire(name, wire));
  return {
    ...shared,
    wire: value.wire,
    direct: directReader(name, written.type, spec),
    read: written.type.kind === "message" ? messageRead(name, value) : readOne,
  };
}

function messageRead(name: string, value: Conversion): ReadOccurrence {
  return (reader, wire, before) => {
    if (wire !== value.wire) wrongWire(name, wire);
    const start = reader.position;
    const first = value.read(reader);
    if (!(before instanceof Pending)) return new Pending(contentOf(reader.buffer, start, reader.position), first);
    const joined = Buffer.concat([before.bytes, contentOf(reader.buffer, start, reader.position)]);
    return new Pending(joined, value.read(new ByteReader(withLength(joined))));
  };
}

// The bytes of a length-delimited value without their length.
function contentOf(buffer: Buffer, start: number, end: number): Buffer {
  const reader = new ByteReader(buffer, start, end);
  reader.varint();
  return buffer.subarray(reader.position, end);
}

function withLength(bytes: Buffer): Buffer {
  const prefix: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest >>>= 7) prefix.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...prefix, rest]), bytes]);
}

function listRead(name: string, written: ProtoField, spec: FieldSpec, convert: Convert): ReadOccurrence {
  if (spec.type.kind !== "list") throw new Unfit(`field "${name}" is repeated there, which cannot be read as ${spec.type.kind}`);
  const item = convert(`${name}[]`, written.type, spec.type.of);
  return (reader, wire, before) => {
    const items: unknown[] = Array.isArray(before) ? before : [];
    if (wire === item.wire) items.push(item.read(reader));
    else if (wire === wireBytes)
      within(reader, () => {
        while (reader.position < reader.end) items.push(item.read(reader));
      });
    else wrongWire(name, wire);
    return items;
  };
}

function mapRead(name: string, type: ProtoType & { readonly kind: "map" }, spec: FieldSpec, convert: Convert): ReadOccurrence {
  if (spec.type.kind !== "map") throw new Unfit(`field "${name}" is a map there, which cannot be read as ${spec.type.kind}`);
  const plain = { repeated: false, packed: false, default: undefined } as const;
  const entry: ProtoMessage = {
    kind: "message",
    name: `${name} entry`,
    fields: [
      { ...plain, name: "key", number: 1, type: type.key, presence: false },
      { ...plain, name: "value", number: 2, type: type.value, presence: false },
    ],
  };
  const keySpec: FieldSpec = {
    type: type.key.kind === "string" ? { kind: "string" } : { kind: "any" },
    nullable: false,
    optional: false,
    aliases: [],
  };
  const reader = new MessageReader(
    `${name}{}.`,
    entry,
    { key: keySpec, value: { ...spec.type.of, nullable: false, optional: false } },
    convert,
  );
  return (bytes, wire, before) => {
    if (wire !== wireBytes) wrongWire(name, wire);
    const map = before instanceof Map ? (before as Map<string, unknown>) : new Map<string, unknown>();
    const { key, value } = within(bytes, () => reader.readObject(bytes));
    map.set(String(key), value);
    return map;
  };
}

// What a field that did not occur reads as. Without presence it is the type's zero; with it the schema's default, missing or null decide.
function absentValue(name: string, written: ProtoField, spec: FieldSpec, convert: Convert): () => unknown {
  if (written.type.kind === "map") return () => new Map();
  if (written.repeated) return () => [];
  if (!written.presence) return zeroOf(name, written.type, spec, convert);
  if (spec.default !== undefined) return () => defaultOf(name, spec);
  if (written.default !== undefined) {
    const value = written.default;
    return () =>
      spec.type.kind === "int64" && spec.type.as === "bigint"
        ? BigInt(String(value))
        : written.type.kind === "enum"
          ? (written.type.nameOf.get(Number(value)) ?? value)
          : value;
  }
  if (spec.optional) return () => undefined;
  return spec.nullable ? () => null : () => misfit(name, "is missing");
}

function zeroOf(name: string, type: ProtoType, spec: FieldSpec, convert: Convert): () => unknown {
  const to = spec.type;
  if (type.kind === "message") return () => convert(name, type, spec).read(new ByteReader(Buffer.of(0)));
  if (type.kind === "enum") {
    const { first } = type;
    return to.kind === "enum" && !to.values.includes(first)
      ? () => misfit(name, `is ${JSON.stringify(first)}, not one of its ${to.values.length} values`)
      : () => first;
  }
  switch (to.kind) {
    case "boolean":
      return () => false;
    case "string":
      return () => "";
    case "bytes":
      return () => new Uint8Array();
    case "decimal":
      return () => (spec.optional ? undefined : spec.nullable ? null : misfit(name, "is empty, not a decimal"));
    case "int64":
      return () => (to.as === "bigint" ? 0n : 0);
    case "timestamp":
      return () => (to.unit === "ns" ? 0n : 0);
    case "enum":
      return () => (to.values.includes("") ? "" : misfit(name, "is empty, not one of its values"));
    case "any":
      return () => (type.kind === "string" ? "" : type.kind === "bool" ? false : type.kind === "bytes" ? new Uint8Array() : 0);
    default:
      return () => 0;
  }
}
