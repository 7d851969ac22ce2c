// materialize: a changelog whose rows of one key come from several places, and out of order, as a table by that key.
import { type Batch, type Rows, isRetraction, rowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, TimeToLive } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { RowEmitter } from "../rows/row-emitter.ts";
import { RowIdentity } from "../rows/row-identity.ts";
import { Sequence } from "../rows/sequence.ts";
import { StoredRows } from "../rows/stored-rows.ts";

export interface MaterializeParams {
  readonly input: Schema;
  /** The key by which the result is read; each key has at most one row in the end. */
  readonly key: KeyLayout;
  /** Default retract. */
  readonly output?: "retract" | "upsert";
  readonly ttl?: TimeToLive;
}

/**
 * Keeps the rows of a key that were given and not yet taken back, in order of arrival; the last one is the table's row. So a
 * deletion that arrives after the insert that follows it does not remove the new row. The idea is that of Flink's
 * SinkUpsertMaterializer. The input must retract.
 */
export function materialize(params: MaterializeParams): OperatorFactory {
  return (context) => new Materialize(context, params);
}

class Materialize implements Operator {
  readonly #retracts: boolean;
  readonly #reader: KeyReader;
  readonly #table: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #identity: RowIdentity;
  readonly #sequence: Sequence;
  readonly #emitter: RowEmitter;

  constructor(context: OperatorContext, { input, key, output, ttl }: MaterializeParams) {
    this.#retracts = output !== "upsert";
    this.#reader = new KeyReader(key);
    this.#table = context.keyed.multiTable({ name: "rows", key, value: input, subKey: "number", ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(input, this.#table);
    this.#identity = new RowIdentity(input);
    this.#sequence = new Sequence(context);
    this.#emitter = new RowEmitter(input, input, context.output());
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#reader.read(batch);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      if (isRetraction(rows.kindOf(row))) this.#take(keys, k, rows, row);
      else this.#add(keys, k, rows, row);
    }
    this.#emitter.flush();
  }

  #add(keys: KeyBatch, k: number, rows: Rows, row: number): void {
    const timeMs = rows.times[row] as number;
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    if (count === 0) this.#emitter.emit(rows, row, timeMs, rowKind.insert);
    else {
      if (this.#retracts) this.#emitter.emit(this.#stored.rows, slots[count - 1] as number, timeMs, rowKind.updateBefore);
      this.#emitter.emit(rows, row, timeMs, rowKind.updateAfter);
    }
    this.#stored.store(rows, row, this.#table.upsert(keys, k, 0, this.#sequence.take()));
  }

  #take(keys: KeyBatch, k: number, rows: Rows, row: number): void {
    const timeMs = rows.times[row] as number;
    const { slots, count } = this.#table.entriesOf(keys, k, 0);
    this.#identity.look(rows, row);
    let at = count - 1;
    while (at >= 0 && !this.#identity.matches(this.#stored.rows, slots[at] as number)) at--;
    if (at < 0) return;
    const slot = slots[at] as number;
    if (at === count - 1) {
      if (count === 1) this.#emitter.emit(this.#stored.rows, slot, timeMs, rowKind.delete);
      else {
        if (this.#retracts) this.#emitter.emit(this.#stored.rows, slot, timeMs, rowKind.updateBefore);
        this.#emitter.emit(this.#stored.rows, slots[count - 2] as number, timeMs, rowKind.updateAfter);
      }
    }
    this.#table.delete(slot);
  }
}
