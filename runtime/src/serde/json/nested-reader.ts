// Readers of lists, maps and structs: each element and field is checked by the reader of its own type.
import { defaultOf } from "../../core/codec/json-value.ts";
import { isMissing, isNull } from "../../core/batch/column.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";
import { RangeReader, readEntries } from "./range-reader.ts";
import { skipNull, skipSpace } from "./scan.ts";
import { type ValueReader, textOf } from "./value-reader.ts";
import { KeyTable, type WireField, wireFields } from "./wire-fields.ts";

export type ReaderOf = (spec: FieldSpec) => ValueReader;

// Elements are read at row 0 of their own column, one after another. An element that may be missing but not null has null as
// its form, because a list has no place to leave it out of.
function readElement(reader: ValueReader, bytes: Buffer, p: number, end: number): number {
  if (bytes[p] === 0x6e && reader.spec.optional && !reader.spec.nullable && reader.spec.type.kind !== "any") {
    const after = skipNull(bytes, p, end);
    if (after >= 0) reader.absent(0, isMissing);
    return after;
  }
  return reader.readOrNull(bytes, p, end, 0);
}

function elementValue(reader: ValueReader, bytes: Buffer): unknown {
  const mark = reader.column.nulls === null ? 0 : reader.column.nulls[0];
  return mark === isNull ? null : mark === isMissing ? undefined : reader.value(bytes, 0);
}

export class ListReader extends RangeReader {
  readonly #element: ValueReader;

  constructor(spec: FieldSpec, of: FieldSpec, readerOf: ReaderOf) {
    super(spec);
    this.#element = readerOf(of);
  }

  check(bytes: Buffer, p: number, end: number): number {
    return this.#each(bytes, p, end, undefined);
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    const items: unknown[] = [];
    this.#each(bytes, start, end, items);
    return items;
  }

  #each(bytes: Buffer, p: number, end: number, items: unknown[] | undefined): number {
    if (bytes[p] !== 0x5b) return -1;
    let at = skipSpace(bytes, p + 1, end);
    if (at < end && bytes[at] === 0x5d) return at + 1;
    for (;;) {
      at = readElement(this.#element, bytes, at, end);
      if (at < 0) return -1;
      items?.push(elementValue(this.#element, bytes));
      at = skipSpace(bytes, at, end);
      if (at >= end) return -1;
      if (bytes[at] === 0x5d) return at + 1;
      if (bytes[at] !== 0x2c) return -1;
      at = skipSpace(bytes, at + 1, end);
    }
  }
}

export class MapReader extends RangeReader {
  readonly #element: ValueReader;

  constructor(spec: FieldSpec, of: FieldSpec, readerOf: ReaderOf) {
    super(spec);
    this.#element = readerOf(of);
  }

  check(bytes: Buffer, p: number, end: number): number {
    return readEntries(bytes, p, end, (_keyStart, _keyEnd, at) => readElement(this.#element, bytes, at, end));
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    const map = new Map<string, unknown>();
    readEntries(bytes, start, end, (keyStart, keyEnd, at) => {
      const after = readElement(this.#element, bytes, at, end);
      map.set(textOf(bytes, keyStart, keyEnd), elementValue(this.#element, bytes));
      return after;
    });
    return map;
  }
}

export class StructReader extends RangeReader {
  readonly #fields: readonly WireField[];
  readonly #readers: readonly ValueReader[];
  readonly #keys: KeyTable;
  readonly #any: ValueReader;

  constructor(spec: FieldSpec, fields: RowSpec, readerOf: ReaderOf) {
    super(spec);
    this.#fields = wireFields(fields);
    this.#readers = this.#fields.map((field) => readerOf(field.spec));
    this.#keys = new KeyTable(this.#fields);
    this.#any = readerOf({ type: { kind: "any" }, nullable: false, optional: false, aliases: [] });
  }

  check(bytes: Buffer, p: number, end: number): number {
    return this.#each(bytes, p, end, undefined);
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    const found: unknown[] = [];
    this.#each(bytes, start, end, found);
    const row: Record<string, unknown> = {};
    for (const field of this.#fields) {
      const value = Object.hasOwn(found, field.index) ? found[field.index] : defaultOf(field.name, field.spec);
      if (value !== undefined) row[field.name] = value;
    }
    return row;
  }

  #each(bytes: Buffer, p: number, end: number, found: unknown[] | undefined): number {
    // One bit per field for the usual width; wider structs take an array.
    let seen = 0;
    const seenWide = this.#fields.length > 31 ? new Uint8Array(this.#fields.length) : undefined;
    let count = 0;
    const after = readEntries(bytes, p, end, (keyStart, keyEnd, at) => {
      const index = this.#keys.find(bytes, keyStart, keyEnd);
      if (index < 0) return this.#any.readOrNull(bytes, at, end, 0);
      // A repeated field is left to the careful path.
      if (seenWide === undefined ? (seen & (1 << index)) !== 0 : seenWide[index] === 1) return -1;
      if (seenWide === undefined) seen |= 1 << index;
      else seenWide[index] = 1;
      count++;
      const reader = this.#readers[index] as ValueReader;
      const next = reader.readOrNull(bytes, at, end, 0);
      if (found !== undefined && next >= 0) found[index] = elementValue(reader, bytes);
      return next;
    });
    if (after < 0 || count === this.#fields.length) return after;
    for (const { index, spec } of this.#fields) {
      const isSeen = seenWide === undefined ? (seen & (1 << index)) !== 0 : seenWide[index] === 1;
      if (!isSeen && !spec.optional && spec.default === undefined) return -1;
    }
    return after;
  }
}
