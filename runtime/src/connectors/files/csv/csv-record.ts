// One CSV record (RFC 4180): splits it at its delimiters and puts the values into a row.
import { MillraceError } from "../../../base/errors.ts";
import type { Rows } from "../../../core/batch/batch.ts";
import { type Column, present } from "../../../core/batch/column.ts";
import type { CsvColumn, CsvColumns } from "./csv-columns.ts";

const quote = 34;

export interface CsvOptions {
  /** One ASCII character between values. Default a comma. */
  readonly delimiter?: string;
  /** The first record names the columns. Default true; without, the columns are the schema's fields in order. */
  readonly header?: boolean;
  /** What stands for null besides an empty value; only where it is not quoted. Default nothing else. */
  readonly nullText?: string;
}

/** Why a record is bad. */
export interface CsvProblem {
  readonly code: "RECORD_UNPARSABLE" | "RECORD_MISFIT";
  readonly reason: string;
}

export class CsvRecordReader {
  readonly #columns: CsvColumns;
  readonly #delimiter: number;
  readonly #nullText: Buffer | undefined;
  #problem: CsvProblem | undefined;
  /** Where `#value` left the cursor: at a delimiter or the record's end. */
  #at = 0;

  constructor(columns: CsvColumns, options: CsvOptions) {
    this.#columns = columns;
    this.#delimiter = delimiterByte(options);
    this.#nullText = options.nullText === undefined ? undefined : Buffer.from(options.nullText);
  }

  /** Puts the record `bytes[start, end)` into row `row`; returns what is wrong with it. */
  read(bytes: Buffer, start: number, end: number, rows: Rows, row: number): CsvProblem | undefined {
    const { byPlace, absent } = this.#columns;
    this.#problem = undefined;
    this.#at = start;
    for (let place = 0; ; place++) {
      const column = byPlace[place];
      this.#value(bytes, end, column, rows, row);
      if (this.#problem !== undefined) return this.#problem;
      if (this.#at >= end) {
        if (place + 1 !== byPlace.length) return unparsable(`it has ${place + 1} values instead of ${byPlace.length}`);
        break;
      }
      if (place + 1 >= byPlace.length) return unparsable(`it has more than ${byPlace.length} values`);
      this.#at++;
    }
    for (const column of absent) this.#missing(column, rows, row);
    return this.#problem;
  }

  #missing(column: CsvColumn, rows: Rows, row: number): void {
    const reason = column.putAbsent(rows.columns[column.field.index] as Column, row);
    if (reason !== undefined) this.#problem = { code: "RECORD_MISFIT", reason };
  }

  #value(bytes: Buffer, end: number, column: CsvColumn | undefined, rows: Rows, row: number): void {
    const start = this.#at;
    if (bytes[start] === quote && start < end) {
      this.#quoted(bytes, start + 1, end, column, rows, row);
      return;
    }
    let at = start;
    const delimiter = this.#delimiter;
    while (at < end && bytes[at] !== delimiter) at++;
    this.#at = at;
    if (column === undefined) return;
    if (at === start || this.#isNullText(bytes, start, at)) this.#missing(column, rows, row);
    else this.#put(column, rows, row, bytes, start, at);
  }

  #quoted(bytes: Buffer, start: number, end: number, column: CsvColumn | undefined, rows: Rows, row: number): void {
    let doubled = false;
    let close = start;
    for (;;) {
      close = bytes.indexOf(quote, close);
      if (close < 0 || close >= end) {
        this.#problem = unparsable("a quoted value has no closing quote");
        return;
      }
      if (close + 1 < end && bytes[close + 1] === quote) {
        doubled = true;
        close += 2;
        continue;
      }
      break;
    }
    this.#at = close + 1;
    if (this.#at < end && bytes[this.#at] !== this.#delimiter) {
      this.#problem = unparsable("text follows a quoted value");
      return;
    }
    if (column === undefined) return;
    if (!doubled) {
      this.#put(column, rows, row, bytes, start, close);
      return;
    }
    const text = bytes.toString("utf8", start, close).replaceAll('""', '"');
    if (column.field.spec.type.kind === "string") {
      const target = rows.columns[column.field.index] as Column;
      if (target.nulls !== null) target.nulls[row] = present;
      target.setText(row, text);
    } else {
      const copy = Buffer.from(text);
      this.#put(column, rows, row, copy, 0, copy.length);
    }
  }

  #put(column: CsvColumn, rows: Rows, row: number, bytes: Buffer, start: number, end: number): void {
    const reason = column.put(rows.columns[column.field.index] as Column, row, bytes, start, end);
    if (reason !== undefined) this.#problem = { code: "RECORD_MISFIT", reason };
  }

  #isNullText(bytes: Buffer, start: number, end: number): boolean {
    const text = this.#nullText;
    return text !== undefined && end - start === text.length && bytes.compare(text, 0, text.length, start, end) === 0;
  }
}

/** The names in a header record. Throws FILES_CORRUPT when it is not CSV. */
export function headerNames(path: string, record: Buffer, options: CsvOptions): readonly string[] {
  const delimiter = String.fromCharCode(delimiterByte(options));
  const names: string[] = [];
  let rest = record.toString("utf8");
  for (;;) {
    const quotedName = /^"((?:[^"]|"")*)"/.exec(rest);
    const end = quotedName === null ? rest.indexOf(delimiter) : quotedName[0].length;
    const name = quotedName === null ? rest.slice(0, end < 0 ? rest.length : end) : (quotedName[1] as string).replaceAll('""', '"');
    names.push(name.trim());
    if (end < 0 || end >= rest.length) return names;
    if (rest[end] !== delimiter)
      throw new MillraceError("FILES_CORRUPT", path, "its first line is not a CSV header", "set csv.header to false if there is none");
    rest = rest.slice(end + 1);
  }
}

function unparsable(reason: string): CsvProblem {
  return { code: "RECORD_UNPARSABLE", reason };
}

/** Throws OPTION_INVALID unless the delimiter is one ASCII character that is not a quote or a line end. */
export function delimiterByte(options: CsvOptions): number {
  const delimiter = options.delimiter ?? ",";
  const code = delimiter.charCodeAt(0);
  if (delimiter.length === 1 && code < 128 && code !== quote && code !== 10 && code !== 13) return code;
  throw new MillraceError(
    "OPTION_INVALID",
    'files option "csv.delimiter"',
    `${JSON.stringify(delimiter)} is not usable`,
    "give one ASCII character",
  );
}
