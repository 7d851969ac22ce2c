// One side of a window join: its rows by key and pane or session, until their window closes.
import type { Batch } from "../../core/batch/batch.ts";
import { KeyReader, type KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedMultiTable } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { LateRows } from "../rows/late-rows.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { NullKeys } from "./join-keys.ts";

export interface WindowSideParams {
  readonly name: string;
  readonly schema: Schema;
  readonly key: KeyLayout;
  readonly late: string | undefined;
}

export class WindowSide {
  readonly table: KeyedMultiTable;
  readonly stored: StoredRows;
  readonly late: LateRows;
  readonly nulls: NullKeys;
  readonly #reader: KeyReader;

  constructor(context: OperatorContext, params: WindowSideParams) {
    this.#reader = new KeyReader(params.key);
    const value = storedSchema(params.schema, { time: float64() });
    this.table = context.keyed.multiTable({ name: params.name, key: params.key, value, subKey: "number" });
    this.stored = new StoredRows(params.schema, this.table);
    this.late = new LateRows(context, params.late);
    this.nulls = new NullKeys(params.key);
  }

  read(batch: Batch): KeyBatch {
    return this.#reader.read(batch);
  }

  /** Keeps a row under a namespace: its pane's start, or 0. */
  add(batch: Batch, row: number, keys: KeyBatch, k: number, namespace: number, sequence: number): void {
    const slot = this.table.upsert(keys, k, namespace, sequence);
    this.stored.store(batch.rows, row, slot);
    this.stored.note(0).numbers[slot] = batch.rows.times[row] as number;
  }

  timeOf(slot: number): number {
    return this.stored.note(0).numbers[slot] as number;
  }
}
