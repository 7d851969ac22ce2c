// The values of one field for the rows of a batch, or for the entries of a state table: typed arrays where the type allows it.
import type { ColumnKind } from "../schema/type-spec.ts";

/** Marks in `Column.nulls`. */
export const present = 0;
export const isNull = 1;
export const isMissing = 2;

const noNumbers = new Float64Array(0);
const noPositions = new Int32Array(0);
const noBytes: Buffer = Buffer.alloc(0);

/**
 * One class for all kinds, so that code over columns stays monomorphic. Which parts are in use follows from `kind`:
 * - `number`: `numbers` (booleans as 0 and 1).
 * - `int64`: `numbers`, and `exact` for each row whose value is outside of ±(2^53 - 1): there `numbers` holds the nearest double.
 * - `text`: a row is a UTF-8 range `[starts, ends)` of `bytes`, or where its start is -1, `texts[row]`.
 * - `object`: `objects`.
 */
export class Column {
  readonly kind: ColumnKind;
  capacity: number;
  numbers: Float64Array = noNumbers;
  exact: Map<number, bigint> | null = null;
  /** Per row `present`, `isNull` or `isMissing`; null when every row is present. */
  nulls: Uint8Array | null = null;
  bytes: Buffer = noBytes;
  starts: Int32Array = noPositions;
  ends: Int32Array = noPositions;
  texts: (string | undefined)[] = [];
  /** True once `texts` holds the strings of some rows that are byte ranges. */
  textsCached = false;
  objects: unknown[] = [];

  constructor(kind: ColumnKind, capacity: number) {
    this.kind = kind;
    this.capacity = 0;
    this.ensure(capacity);
  }

  /** Makes room for `capacity` rows, keeping what is there. */
  ensure(capacity: number): void {
    if (capacity <= this.capacity) return;
    const size = Math.max(capacity, this.capacity * 2, 16);
    if (this.kind === "number" || this.kind === "int64") {
      const grown = new Float64Array(size);
      grown.set(this.numbers);
      this.numbers = grown;
    } else if (this.kind === "text") {
      const starts = new Int32Array(size).fill(-1);
      starts.set(this.starts);
      this.starts = starts;
      const ends = new Int32Array(size);
      ends.set(this.ends);
      this.ends = ends;
    }
    if (this.nulls !== null) {
      const nulls = new Uint8Array(size);
      nulls.set(this.nulls);
      this.nulls = nulls;
    }
    this.capacity = size;
  }

  /** Forgets all values, keeps the memory. */
  reset(): void {
    if (this.exact !== null) this.exact = null;
    if (this.nulls !== null) this.nulls = null;
    if (this.textsCached || this.texts.length > 0) {
      this.texts = [];
      this.textsCached = false;
    }
    if (this.objects.length > 0) this.objects = [];
  }

  /** Marks a row null or missing. */
  setAbsent(row: number, mark: number): void {
    if (this.nulls === null) this.nulls = new Uint8Array(this.capacity);
    this.nulls[row] = mark;
  }

  setInt64(row: number, value: bigint): void {
    const near = Number(value);
    this.numbers[row] = near;
    if (Number.isSafeInteger(near)) this.exact?.delete(row);
    else {
      this.exact ??= new Map();
      this.exact.set(row, value);
    }
  }

  getInt64(row: number): bigint {
    if (this.exact !== null) {
      const exact = this.exact.get(row);
      if (exact !== undefined) return exact;
    }
    return BigInt(this.numbers[row] as number);
  }

  /** The text of a row; bytes become a string once and are kept for the life of the batch. */
  getText(row: number): string {
    const cached = this.texts[row];
    if (cached !== undefined) return cached;
    const start = this.starts[row] as number;
    const text = this.bytes.toString("utf8", start, this.ends[row]);
    this.texts[row] = text;
    this.textsCached = true;
    return text;
  }

  setText(row: number, text: string): void {
    this.starts[row] = -1;
    this.texts[row] = text;
  }
}
