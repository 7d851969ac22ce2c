// The latest row of each key: makes a changelog of upserts whole, by giving out what each row replaces.
import { type Batch, type Rows, rowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { DeleteRule } from "../rows/delete-rule.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { RowIdentity } from "../rows/row-identity.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";

export interface LatestRowParams<Row = unknown> {
  readonly input: Schema<Row>;
  readonly key: KeyLayout;
  /** `retract` gives out the row before each update; `upsert` leaves it out. Default retract. */
  readonly output?: "retract" | "upsert";
  /** `time`: a row with an earlier time than the one it would replace is left out. Default `arrival`. */
  readonly order?: "arrival" | "time";
  /** Rows that mean that their key is gone, beside those of kind delete. */
  readonly isDelete?: (row: Row) => boolean;
  /** Leave out updates that change nothing. Default true. */
  readonly dropUnchanged?: boolean;
  readonly ttl?: TimeToLive;
}

/**
 * Rows before updates are ignored: the row after it comes, and replaces what is there. With `order: "time"` a deletion that is
 * older than the row is left out as well; a deleted key remembers nothing, so any row may follow.
 */
export class LatestRow implements Operator {
  readonly #retracts: boolean;
  readonly #byTime: boolean;
  readonly #deletes: DeleteRule;
  readonly #identity: RowIdentity | undefined;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #stored: StoredRows;
  readonly #emitter: RowEmitter;

  constructor(context: OperatorContext, params: LatestRowParams) {
    const { input, key, ttl } = params;
    this.#retracts = params.output !== "upsert";
    this.#byTime = params.order === "time";
    this.#deletes = new DeleteRule(context, input, params.isDelete);
    this.#identity = params.dropUnchanged === false ? undefined : new RowIdentity(input);
    this.#reader = new KeyReader(key);
    const value = storedSchema(input, { time: float64() });
    this.#table = context.keyed.table({ name: "latest", key, value, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(input, this.#table);
    this.#emitter = new RowEmitter(input, input, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      if (rows.kindOf(row) === rowKind.updateBefore) continue;
      const gone = this.#deletes.isGone(rows, row);
      if (gone === undefined) continue;
      const timeMs = rows.times[row] as number;
      const slot = this.#table.find(keys, k, 0, false);
      if (slot < 0) {
        if (!gone) this.#insert(keys, k, rows, row, timeMs);
      } else if (this.#byTime && timeMs < (this.#stored.note(0).numbers[slot] as number)) continue;
      else if (gone) {
        this.#emitter.emit(this.#stored.rows, slot, timeMs, rowKind.delete);
        this.#table.delete(slot);
      } else this.#update(rows, row, slot, timeMs);
    }
    this.#emitter.flush();
  }

  #insert(keys: KeyBatch, k: number, rows: Rows, row: number, timeMs: number): void {
    this.#emitter.emit(rows, row, timeMs, rowKind.insert);
    this.#store(rows, row, this.#table.find(keys, k, 0, true), timeMs);
  }

  #update(rows: Rows, row: number, slot: number, timeMs: number): void {
    if (!this.#isUnchanged(rows, row, slot)) {
      if (this.#retracts) this.#emitter.emit(this.#stored.rows, slot, timeMs, rowKind.updateBefore);
      this.#emitter.emit(rows, row, timeMs, rowKind.updateAfter);
    }
    this.#store(rows, row, slot, timeMs);
  }

  #isUnchanged(rows: Rows, row: number, slot: number): boolean {
    if (this.#identity === undefined) return false;
    this.#identity.look(rows, row);
    return this.#identity.matches(this.#stored.rows, slot);
  }

  #store(rows: Rows, row: number, slot: number, timeMs: number): void {
    this.#stored.store(rows, row, slot);
    this.#stored.note(0).numbers[slot] = timeMs;
    this.#table.touch(slot);
  }
}
