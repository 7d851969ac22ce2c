// Reads one field's values from JSON bytes into its column: the readers of scalar types. value-readers.ts makes the right one for a type.
import { Column, isNull, type isMissing } from "../../core/batch/column.ts";
import type { ColumnKind, FieldSpec } from "../../core/schema/type-spec.ts";
import { readDouble, readInteger } from "./numbers.ts";
import { hasEscape, skipFalse, skipNull, scanText, skipTrue, stringEnd } from "./scan.ts";

/**
 * Reads values of one field. `read` checks a value whole and puts it in the column; it returns the position after the value, or -1 for
 * anything that is not plainly a value of the field, which the careful path then judges.
 * Elements of lists and fields of structs have a reader too, with a column of one row for each in turn.
 */
export abstract class ValueReader {
  readonly spec: FieldSpec;
  /** The column of the batch being decoded; before the first `bind`, one of a single row. */
  column: Column;

  constructor(spec: FieldSpec, kind: ColumnKind) {
    this.spec = spec;
    this.column = new Column(kind, 1);
  }

  /** Points the reader at the column of a batch with room for `capacity` rows. */
  bind(column: Column, _capacity: number, _view: DataView): void {
    this.column = column;
  }

  abstract read(bytes: Buffer, p: number, end: number, row: number): number;

  /** As `read`, and takes null where the field does. */
  readOrNull(bytes: Buffer, p: number, end: number, row: number): number {
    if (bytes[p] === 0x6e && this.spec.nullable) {
      const after = skipNull(bytes, p, end);
      if (after >= 0) this.absent(row, isNull);
      return after;
    }
    this.present(row);
    return p < end ? this.read(bytes, p, end, row) : -1;
  }

  /** Takes away what an earlier reading of the same row may have left: a row is read again when a faster path gave up on it. */
  present(row: number): void {
    const { column } = this;
    if (column.nulls !== null) column.nulls[row] = 0;
    if (column.exact !== null) column.exact.delete(row);
    if (column.texts.length > row) column.texts[row] = undefined;
  }

  /** Marks a row null or missing. */
  absent(row: number, mark: typeof isNull | typeof isMissing): void {
    this.column.setAbsent(row, mark);
    this.clear(row);
  }

  /** Leaves nothing of an earlier reading at a row. */
  clear(row: number): void {
    this.column.numbers[row] = 0;
  }

  /** The value that `read` put at a row, as the row object has it. */
  abstract value(bytes: Buffer, row: number): unknown;

  /** Puts a value at a row: what the careful path found, or a default. */
  abstract put(row: number, value: unknown): void;
}

/** Integers, and instants as numbers. */
export class IntegerReader extends ValueReader {
  readonly least: number;
  readonly greatest: number;

  constructor(spec: FieldSpec, kind: "number" | "int64", least: number, greatest: number) {
    super(spec, kind);
    this.least = least;
    this.greatest = greatest;
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    return readInteger(bytes, p, end, this.column, row, this.least, this.greatest);
  }

  value(_bytes: Buffer, row: number): unknown {
    return this.column.kind === "int64" ? this.column.getInt64(row) : this.column.numbers[row];
  }

  put(row: number, value: unknown): void {
    if (typeof value === "bigint") this.column.setInt64(row, value);
    else this.column.numbers[row] = value as number;
  }
}

export class DoubleReader extends ValueReader {
  readonly single: boolean;

  constructor(spec: FieldSpec, single: boolean) {
    super(spec, "number");
    this.single = single;
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    return readDouble(bytes, p, end, this.column.numbers, row, this.single);
  }

  value(_bytes: Buffer, row: number): unknown {
    return this.column.numbers[row];
  }

  put(row: number, value: unknown): void {
    this.column.numbers[row] = value as number;
  }
}

export class BooleanReader extends ValueReader {
  constructor(spec: FieldSpec) {
    super(spec, "number");
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    const isTrue = bytes[p] === 0x74;
    this.column.numbers[row] = isTrue ? 1 : 0;
    return isTrue ? skipTrue(bytes, p, end) : skipFalse(bytes, p, end);
  }

  value(_bytes: Buffer, row: number): unknown {
    return this.column.numbers[row] === 1;
  }

  put(row: number, value: unknown): void {
    this.column.numbers[row] = value === true ? 1 : 0;
  }
}

/** The text of string content that was checked: escapes decoded, lone surrogates replaced, as UTF-8 has no form for them. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  const raw = bytes.toString("utf8", start, end);
  return hasEscape(bytes, start, end) ? (JSON.parse(`"${raw}"`) as string).toWellFormed() : raw;
}

/** Text: a range of the record's bytes. Rows whose text has escapes are noted, and decoded when the column is read. */
export class TextReader extends ValueReader {
  #escapedRows = new Int32Array(16);
  escapedCount = 0;
  // Of the block being decoded; undefined in lists and structs, whose text is decoded at once.
  #view: DataView | undefined;

  constructor(spec: FieldSpec) {
    super(spec, "text");
  }

  override bind(column: Column, capacity: number, view: DataView): void {
    super.bind(column, capacity, view);
    this.escapedCount = 0;
    this.#view = view;
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    if (bytes[p] !== 0x22) return -1;
    const closing = this.close(bytes, p + 1, end, row);
    if (closing < 0) return -1;
    const { column } = this;
    column.starts[row] = p + 1;
    column.ends[row] = closing;
    return closing + 1;
  }

  /** The closing quote of a string of which there is nothing to look at before `p`; -1 where it is not valid. */
  close(bytes: Buffer, p: number, end: number, row: number): number {
    if (this.#view === undefined) return stringEnd(bytes, p, end);
    const closing = scanText(bytes, this.#view, p, end);
    if (closing >= -1) return closing;
    if (this.escapedCount === this.#escapedRows.length) {
      const grown = new Int32Array(this.escapedCount * 2);
      grown.set(this.#escapedRows);
      this.#escapedRows = grown;
    }
    this.#escapedRows[this.escapedCount++] = row;
    return ~closing;
  }

  /** Decodes the rows with escapes. */
  fill(bytes: Buffer): void {
    const { column } = this;
    for (let i = 0; i < this.escapedCount; i++) {
      const row = this.#escapedRows[i] as number;
      const start = column.starts[row] as number;
      // A row that turned out to be bad, or was read again by the careful path, is no range any more.
      if (start >= 0) column.setText(row, textOf(bytes, start, column.ends[row] as number));
    }
    this.escapedCount = 0;
  }

  override clear(row: number): void {
    this.column.starts[row] = 0;
    this.column.ends[row] = 0;
  }

  value(bytes: Buffer, row: number): unknown {
    return textOf(bytes, this.column.starts[row] as number, this.column.ends[row] as number);
  }

  put(row: number, value: unknown): void {
    this.column.setText(row, value as string);
  }
}

/** One of a set of strings, compared as bytes. */
export class EnumReader extends TextReader {
  readonly #values: readonly Buffer[];

  constructor(spec: FieldSpec, values: readonly string[]) {
    super(spec);
    this.#values = values.map((value) => Buffer.from(value));
  }

  override read(bytes: Buffer, p: number, end: number, row: number): number {
    const after = super.read(bytes, p, end, row);
    return after >= 0 && this.has(bytes, p + 1, after - 1) ? after : -1;
  }

  /** True where the content of a string is one of the values as it stands. */
  has(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    for (let v = 0; v < this.#values.length; v++) {
      const value = this.#values[v] as Buffer;
      if (value.length !== length) continue;
      let i = 0;
      while (i < length && bytes[start + i] === value[i]) i++;
      if (i === length) return true;
    }
    return false;
  }
}
