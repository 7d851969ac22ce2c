// Lookup join: each row of a stream with the table's row of its key as it stands when the stream's row comes.
import { type Batch, rowKind } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import { StoredRows } from "../rows/stored-rows.ts";
import { checkJoinKeys, NullKeys } from "./join-keys.ts";
import { JoinOutput, type JoinSides } from "./join-output.ts";

export interface LookupJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  readonly leftKey: KeyLayout;
  /** The table's primary key. */
  readonly rightKey: KeyLayout;
  readonly type: "inner" | "left";
  /** How long rows of the table are kept. Default: until they are deleted. */
  readonly ttl?: TimeToLive;
}

/**
 * Input 0 is the stream, input 1 the table's changelog by its primary key (upsert or retract). Nothing waits: which version a row
 * meets depends on which came first. `temporalJoin` is the one that does not. Throws JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function lookupJoin<Left, Right, Out>(params: LookupJoinParams<Left, Right, Out>): OperatorFactory {
  checkJoinKeys(params.leftKey, params.rightKey);
  return (context) => new LookupJoin(context, params as unknown as LookupJoinParams);
}

class LookupJoin implements Operator {
  readonly #outer: boolean;
  readonly #leftReader: KeyReader;
  readonly #rightReader: KeyReader;
  readonly #table: KeyedTable;
  readonly #stored: StoredRows;
  readonly #nulls: NullKeys;
  readonly #output: JoinOutput;
  #slots: Int32Array = new Int32Array(0);

  constructor(context: OperatorContext, params: LookupJoinParams) {
    this.#outer = params.type === "left";
    this.#leftReader = new KeyReader(params.leftKey);
    this.#rightReader = new KeyReader(params.rightKey);
    const { ttl } = params;
    this.#table = context.keyed.table({ name: "table", key: params.rightKey, value: params.right, ...(ttl === undefined ? {} : { ttl }) });
    this.#stored = new StoredRows(params.right, this.#table);
    this.#nulls = new NullKeys(params.leftKey);
    this.#output = new JoinOutput(context, params, params.type);
  }

  process(batch: Batch, input: number): void {
    if (input === 1) this.#change(batch);
    else this.#lookUp(batch);
  }

  #lookUp(batch: Batch): void {
    const { rows, selection, count } = batch;
    const slots = this.#slotsFor(count);
    this.#table.findAll(this.#leftReader.read(batch), null, slots, false);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const slot = slots[k] as number;
      const timeMs = rows.times[row] as number;
      if (slot >= 0 && !this.#nulls.has(rows, row)) this.#output.emit(rows, row, this.#stored.rows, slot, timeMs, rows.kindOf(row));
      else if (this.#outer) this.#output.emit(rows, row, null, 0, timeMs, rows.kindOf(row));
    }
    this.#output.flush();
  }

  #change(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#rightReader.read(batch);
    if (rows.kinds === null) {
      const slots = this.#slotsFor(count);
      this.#table.findAll(keys, null, slots, true);
      for (let k = 0; k < count; k++) this.#stored.store(rows, selection[k] as number, slots[k] as number);
      this.#table.touchAll(slots, count);
      return;
    }
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const kind = rows.kindOf(row);
      // The row after the update replaces the one before it.
      if (kind === rowKind.updateBefore) continue;
      const slot = this.#table.find(keys, k, 0, kind !== rowKind.delete);
      if (kind === rowKind.delete) {
        if (slot >= 0) this.#table.delete(slot);
        continue;
      }
      this.#stored.store(rows, row, slot);
      this.#table.touch(slot);
    }
  }

  #slotsFor(count: number): Int32Array {
    if (this.#slots.length < count) this.#slots = new Int32Array(Math.max(count, 1024));
    return this.#slots;
  }
}
