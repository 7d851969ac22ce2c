// Reads a record key by key in whatever order, white space and all: the path for records that do not look like the ones before.
import { defaultOf } from "../../core/codec/json-value.ts";
import { isMissing, isNull } from "../../core/batch/column.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { scanText, skipSpace, skipValue } from "./scan.ts";
import type { ValueReader } from "./value-reader.ts";
import { valueReader } from "./value-readers.ts";
import { KeyTable, type WireField, wireFields } from "./wire-fields.ts";

export class GeneralReader {
  readonly fields: readonly WireField[];
  /** One per field, in the schema's order. */
  readonly readers: readonly ValueReader[];
  readonly keys: KeyTable;
  // The number of the reading in which a field was last seen: cheaper than clearing flags for each record.
  readonly #seenIn: Float64Array;
  #reading = 0;
  // By field, and last for the start of a record: the field that came next when it was last seen; -1 when not known.
  readonly #follower: Int32Array;
  readonly #firstKeys: readonly Buffer[];
  readonly #scalarDefaults: readonly unknown[];

  constructor(schema: Schema) {
    this.fields = wireFields(schema.spec);
    this.readers = this.fields.map((field) => valueReader(field.spec));
    this.keys = new KeyTable(this.fields);
    this.#seenIn = new Float64Array(this.fields.length);
    this.#follower = new Int32Array(this.fields.length + 1).fill(-1);
    // A key with a quote or a backslash is always escaped in a record, so its bytes never match.
    this.#firstKeys = this.fields.map((field) => Buffer.from(field.keys[0] as string));
    this.#scalarDefaults = this.fields.map(({ name, spec }) => (spec.default === undefined ? undefined : defaultOf(name, spec)));
  }

  /** Reads the record into row `row`; false where the careful path has to decide. */
  read(bytes: Buffer, view: DataView, start: number, end: number, row: number): boolean {
    const reading = ++this.#reading;
    let seen = 0;
    let before = this.fields.length;
    let at = skipSpace(bytes, start, end);
    if (at >= end || bytes[at] !== 0x7b) return false;
    at = skipSpace(bytes, at + 1, end);
    if (at < end && bytes[at] === 0x7d) at++;
    else {
      for (;;) {
        if (at >= end || bytes[at] !== 0x22) return false;
        // The field that followed the same field last time is tried first.
        let index = this.#follower[before] as number;
        let keyEnd = index < 0 ? -1 : this.#passKey(bytes, at + 1, end, index);
        if (keyEnd < 0) {
          keyEnd = scanText(bytes, view, at + 1, end);
          if (keyEnd < 0) return false;
          index = this.keys.find(bytes, at + 1, keyEnd);
          if (index >= 0) this.#follower[before] = index;
        }
        at = skipSpace(bytes, keyEnd + 1, end);
        if (at >= end || bytes[at] !== 0x3a) return false;
        at = skipSpace(bytes, at + 1, end);
        if (index < 0) at = skipValue(bytes, at, end, view);
        else {
          // Repeated fields are rare enough for the careful path.
          if (this.#seenIn[index] === reading) return false;
          this.#seenIn[index] = reading;
          seen++;
          before = index;
          at = (this.readers[index] as ValueReader).readOrNull(bytes, at, end, row);
        }
        if (at < 0) return false;
        at = skipSpace(bytes, at, end);
        if (at >= end) return false;
        const next = bytes[at++];
        if (next === 0x7d) break;
        if (next !== 0x2c) return false;
        at = skipSpace(bytes, at, end);
      }
    }
    if (skipSpace(bytes, at, end) !== end) return false;
    return seen === this.fields.length || this.#putMissing(row, reading);
  }

  // The closing quote of a key that starts at `p`, if it is the first key of field `index`; else -1.
  #passKey(bytes: Buffer, p: number, end: number, index: number): number {
    const key = this.#firstKeys[index] as Buffer;
    const { length } = key;
    if (p + length >= end || bytes[p + length] !== 0x22) return -1;
    for (let i = 0; i < length; i++) if (bytes[p + i] !== key[i]) return -1;
    return p + length;
  }

  #putMissing(row: number, reading: number): boolean {
    for (let index = 0; index < this.fields.length; index++) {
      if (this.#seenIn[index] !== reading && !this.putAbsent(index, row)) return false;
    }
    return true;
  }

  /** Puts what a missing field reads as at a row; false where the field must be there. */
  putAbsent(index: number, row: number): boolean {
    const { name, spec } = this.fields[index] as WireField;
    const reader = this.readers[index] as ValueReader;
    if (spec.default !== undefined) {
      // Objects are made anew for each row: rows do not share what a user's function might change.
      this.put(index, row, reader.column.kind === "object" ? defaultOf(name, spec) : this.#scalarDefaults[index]);
      return true;
    }
    if (!spec.optional) return false;
    reader.absent(row, isMissing);
    return true;
  }

  /** Puts a value as row objects have it. */
  put(index: number, row: number, value: unknown): void {
    const reader = this.readers[index] as ValueReader;
    if (value === undefined) reader.absent(row, isMissing);
    else if (value === null && reader.spec.type.kind !== "any") reader.absent(row, isNull);
    else {
      if (reader.column.nulls !== null) reader.column.nulls[row] = 0;
      reader.put(row, value);
    }
  }
}
