// Reads a Parquet file as rows: one row group is handed out while the next one is loaded.
import type { DecodedArray } from "hyparquet";
import { messageOf } from "../../../base/errors.ts";
import { noTime, Rows } from "../../../core/batch/batch.ts";
import { type Column, isMissing, isNull } from "../../../core/batch/column.ts";
import type { SourceBatch } from "../../../core/ports/source.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { ReportBad, SplitReading } from "../source/split-reading.ts";
import { corrupt } from "../store/store-errors.ts";
import type { LoadedGroup, ParquetField, ParquetFile } from "./parquet-file.ts";
import { unfit } from "./parquet-values.ts";

export class ParquetReading implements SplitReading {
  position: number;
  failure: Error | undefined;
  readonly #splitId: string;
  readonly #file: ParquetFile;
  readonly #closeFile: () => Promise<void>;
  readonly #rows: Rows;
  readonly #notify: () => void;
  readonly #reportBad: ReportBad;
  #shown: LoadedGroup | undefined;
  #next: LoadedGroup | undefined;
  #nextIndex: number;
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(
    splitId: string,
    schema: Schema,
    file: ParquetFile,
    position: number,
    notify: () => void,
    reportBad: ReportBad,
    closeFile: () => Promise<void>,
  ) {
    this.#splitId = splitId;
    this.#file = file;
    this.#rows = new Rows(schema, 1024);
    this.#notify = notify;
    this.#reportBad = reportBad;
    this.#closeFile = closeFile;
    this.position = position;
    const index = file.groups.findIndex((group) => group.firstRow + group.rowCount > position);
    this.#nextIndex = index < 0 ? file.groups.length : index;
    this.#load();
  }

  get ended(): boolean {
    return this.position >= this.#file.rowCount;
  }

  #load(): void {
    const group = this.#file.groups[this.#nextIndex];
    if (group === undefined || this.#closed) return;
    this.#nextIndex++;
    this.#loading = this.#file.load(group).then(
      (loaded) => {
        this.#next = loaded;
        this.#notify();
      },
      (error: unknown) => {
        this.failure = error instanceof Error ? error : corrupt(this.#splitId, messageOf(error));
        this.#notify();
      },
    );
  }

  poll(most: number): SourceBatch | null {
    for (;;) {
      const shown = this.#shown;
      if (shown === undefined || this.position >= shown.firstRow + shown.rowCount) {
        if (this.#next === undefined) return null;
        this.#shown = this.#next;
        this.#next = undefined;
        this.#load();
        continue;
      }
      const from = this.position - shown.firstRow;
      const to = Math.min(shown.rowCount, from + most);
      const firstPosition = this.position;
      this.position = shown.firstRow + to;
      const size = this.#put(shown, from, to);
      if (size > 0) return { kind: "rows", splitId: this.#splitId, rows: this.#rows, firstPosition };
    }
  }

  #put(group: LoadedGroup, from: number, to: number): number {
    const rows = this.#rows;
    const { fields } = this.#file;
    rows.reset();
    rows.ensure(to - from);
    rows.ready.fill(1);
    let row = 0;
    for (let at = from; at < to; at++) {
      const misfit = this.#putRow(group, at, row, fields);
      if (misfit === undefined) rows.times[row++] = noTime;
      else {
        const value = valueAt(group.columns[misfit.field.index], at);
        this.#reportBad(
          "RECORD_MISFIT",
          group.firstRow + at,
          undefined,
          `field "${misfit.field.name}": ${shownValue(value)} is not a ${misfit.field.spec.type.kind}`,
        );
      }
    }
    rows.size = row;
    return row;
  }

  /** Puts a row; returns the field whose value does not fit. */
  #putRow(group: LoadedGroup, at: number, row: number, fields: readonly ParquetField[]): ParquetField | undefined {
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as ParquetField;
      const column = this.#rows.columns[i] as Column;
      const raw = valueAt(group.columns[i], at);
      const value = raw === null || raw === undefined ? field.absent : field.convert(raw);
      if (value === unfit) return field;
      if (value === null && field.field.spec.type.kind !== "any") putAbsent(column, row, isNull);
      else if (value === undefined) putAbsent(column, row, isMissing);
      else {
        if (column.nulls !== null) column.nulls[row] = 0;
        putValue(column, row, value);
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#loading;
    await this.#closeFile();
  }
}

function valueAt(values: DecodedArray | undefined, at: number): unknown {
  return values === undefined ? undefined : (values as ArrayLike<unknown>)[at];
}

function putAbsent(column: Column, row: number, mark: number): void {
  column.setAbsent(row, mark);
  if (column.kind === "text") column.setText(row, "");
  else if (column.kind === "object") column.objects[row] = undefined;
  else column.numbers[row] = 0;
}

function putValue(column: Column, row: number, value: unknown): void {
  switch (column.kind) {
    case "number":
      column.numbers[row] = typeof value === "boolean" ? Number(value) : (value as number);
      return;
    case "int64":
      column.setInt64(row, value as bigint);
      return;
    case "text":
      column.setText(row, value as string);
      return;
    case "object":
      column.objects[row] = value;
  }
}

function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return String(value).slice(0, 80);
}
