// Readers of values that are objects in rows: they check a value in place and keep its range; the object is made when it is asked for.
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { hasEscape, scanText, skipNumber, skipSpace, skipValue, stringEnd } from "./scan.ts";
import { ValueReader } from "./value-reader.ts";
import type { Column } from "../../core/batch/column.ts";

const noRange = -1;
/** The row's object stands in the column already. */
const isMade = -2;

export abstract class RangeReader extends ValueReader {
  #starts = new Int32Array(1);
  #ends = new Int32Array(1);
  /** Over the block being decoded; undefined in lists and structs. */
  protected view: DataView | undefined;

  constructor(spec: FieldSpec) {
    super(spec, "object");
  }

  override bind(column: Column, capacity: number, view: DataView): void {
    super.bind(column, capacity, view);
    this.view = view;
    if (this.#starts.length < capacity) {
      this.#starts = new Int32Array(capacity);
      this.#ends = new Int32Array(capacity);
    }
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    const after = this.check(bytes, p, end);
    if (after >= 0) {
      this.#starts[row] = p;
      this.#ends[row] = after;
    }
    return after;
  }

  /** Passes a value of the type; -1 where it is not plainly one. */
  abstract check(bytes: Buffer, p: number, end: number): number;
  /** Makes the object of a range that was checked. */
  abstract make(bytes: Buffer, start: number, end: number): unknown;

  value(bytes: Buffer, row: number): unknown {
    return this.make(bytes, this.#starts[row] as number, this.#ends[row] as number);
  }

  /** Makes the objects of rows `[0, size)`. */
  fill(bytes: Buffer, size: number): void {
    const { objects } = this.column;
    for (let row = 0; row < size; row++) {
      const start = this.#starts[row] as number;
      if (start !== isMade) objects[row] = start === noRange ? undefined : this.make(bytes, start, this.#ends[row] as number);
      this.#starts[row] = isMade;
    }
  }

  put(row: number, value: unknown): void {
    this.column.objects[row] = value;
    this.#starts[row] = isMade;
  }

  override clear(row: number): void {
    this.#starts[row] = noRange;
  }
}

/** Decimals, from numbers or from text: exact either way, because the digits are read as written. */
export class DecimalReader extends RangeReader {
  readonly #scale: number;
  readonly #wholeDigits: number;

  constructor(spec: FieldSpec, precision: number, scale: number) {
    super(spec);
    this.#scale = scale;
    this.#wholeDigits = precision - scale;
  }

  check(bytes: Buffer, p: number, end: number): number {
    const quoted = bytes[p] === 0x22;
    const start = quoted ? p + 1 : p;
    const after = skipNumber(bytes, start, end);
    if (after < 0 || !this.#fits(bytes, bytes[start] === 0x2d ? start + 1 : start, after)) return -1;
    if (!quoted) return after;
    return after < end && bytes[after] === 0x22 ? after + 1 : -1;
  }

  // Counts digits; forms with an exponent are left to the careful path.
  #fits(bytes: Buffer, start: number, end: number): boolean {
    let point = end;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte === 0x2e) point = i;
      else if (byte > 0x39) return false;
    }
    const fraction = point === end ? 0 : end - point - 1;
    const whole = bytes[start] === 0x30 ? 0 : point - start;
    return fraction <= this.#scale && whole <= this.#wholeDigits;
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    const quoted = bytes[start] === 0x22 ? 1 : 0;
    return Decimal.parse(bytes.toString("latin1", start + quoted, end - quoted)).rescale(this.#scale);
  }
}

// The six bits of each base64 character; 64 for every other byte.
const base64Bits = new Uint8Array(256).fill(64);
for (const [bits, character] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries())
  base64Bits[character.charCodeAt(0)] = bits;

/** Bytes as base64, padded and without a second form for the same bytes. */
export class BytesReader extends RangeReader {
  check(bytes: Buffer, p: number, end: number): number {
    if (bytes[p] !== 0x22) return -1;
    let at = p + 1;
    while (at < end && (base64Bits[bytes[at] as number] as number) < 64) at++;
    const characters = at - p - 1;
    const rest = characters % 4;
    if (rest === 1) return -1;
    if (rest > 0) {
      // The bits beyond the last whole byte are zero, or the text would be a second form of the same bytes.
      const unused = rest === 2 ? 0x0f : 0x03;
      if (((base64Bits[bytes[at - 1] as number] as number) & unused) !== 0) return -1;
      for (let padding = rest; padding < 4; padding++) if (bytes[at++] !== 0x3d) return -1;
    }
    return at < end && bytes[at] === 0x22 ? at + 1 : -1;
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    return new Uint8Array(Buffer.from(bytes.toString("latin1", start + 1, end - 1), "base64"));
  }
}

/** Whatever JSON holds, as JSON.parse gives it. Null is a value. */
export class AnyReader extends RangeReader {
  override readOrNull(bytes: Buffer, p: number, end: number, row: number): number {
    this.present(row);
    return this.read(bytes, p, end, row);
  }

  check(bytes: Buffer, p: number, end: number): number {
    return skipValue(bytes, p, end, this.view);
  }

  make(bytes: Buffer, start: number, end: number): unknown {
    return JSON.parse(bytes.toString("utf8", start, end));
  }
}

/** Told of one key of an object: where its value starts, and the position after the value; -1 to give up. */
export type EntryVisitor = (keyStart: number, keyEnd: number, valueStart: number) => number;

/** Goes through the entries of the object at `p`; returns the position after it, or -1. Keys with escapes are given up on. */
export function readEntries(bytes: Buffer, p: number, end: number, visit: EntryVisitor, view?: DataView): number {
  if (bytes[p] !== 0x7b) return -1;
  let at = skipSpace(bytes, p + 1, end);
  if (at < end && bytes[at] === 0x7d) return at + 1;
  for (;;) {
    if (at >= end || bytes[at] !== 0x22) return -1;
    const keyStart = at + 1;
    const keyEnd = view === undefined ? stringEnd(bytes, keyStart, end) : scanText(bytes, view, keyStart, end);
    if (keyEnd < 0 || (view === undefined && hasEscape(bytes, keyStart, keyEnd))) return -1;
    at = skipSpace(bytes, keyEnd + 1, end);
    if (at >= end || bytes[at] !== 0x3a) return -1;
    at = visit(keyStart, keyEnd, skipSpace(bytes, at + 1, end));
    if (at < 0) return -1;
    at = skipSpace(bytes, at, end);
    if (at >= end) return -1;
    if (bytes[at] === 0x7d) return at + 1;
    if (bytes[at] !== 0x2c) return -1;
    at = skipSpace(bytes, at + 1, end);
  }
}
