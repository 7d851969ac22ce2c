// Temporal join: each row of a stream with the version of a table's row that was valid at the row's time.
import type { Batch, RowKind } from "../../core/batch/batch.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedMultiTable, Timers } from "../../core/ports/state.ts";
import { float64, int8 } from "../../core/schema/field.ts";
import { LateRows } from "../rows/late-rows.ts";
import { Sequence } from "../rows/sequence.ts";
import { storedSchema, StoredRows } from "../rows/stored-rows.ts";
import { checkJoinKeys, NullKeys } from "./join-keys.ts";
import { JoinOutput, type JoinSides } from "./join-output.ts";
import { Versions } from "./versions.ts";

export interface TemporalJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  /** The stream's reference into the table. */
  readonly leftKey: KeyLayout;
  /** The table's primary key. */
  readonly rightKey: KeyLayout;
  readonly type: "inner" | "left";
  /** Side output for stream rows behind the watermark; they are counted and dropped where there is none. */
  readonly lateLeft?: string;
}

/**
 * Input 0 is the stream, input 1 the table's changelog by its primary key (upsert or retract) in which a change is valid from
 * its row's time on. A row of the stream waits until the watermark has reached its time: then every version up to it is known,
 * and the result does not depend on which side came first. Versions that no row to come can ask for are dropped.
 * A change of the table behind the watermark still counts for rows to come, also one older than a deletion that the watermark has
 * passed: that deletion is forgotten by then. Throws JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function temporalJoin<Left, Right, Out>(params: TemporalJoinParams<Left, Right, Out>): OperatorFactory {
  checkJoinKeys(params.leftKey, params.rightKey);
  return (context) => new TemporalJoin(context, params as unknown as TemporalJoinParams);
}

class TemporalJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #outer: boolean;
  readonly #leftReader: KeyReader;
  readonly #waiting: KeyedMultiTable;
  readonly #stored: StoredRows;
  readonly #late: LateRows;
  readonly #nulls: NullKeys;
  readonly #versions: Versions;
  readonly #timers: Timers;
  readonly #sequence: Sequence;
  readonly #output: JoinOutput;

  constructor(context: OperatorContext, params: TemporalJoinParams) {
    this.#context = context;
    this.#outer = params.type === "left";
    this.#leftReader = new KeyReader(params.leftKey);
    const value = storedSchema(params.left, { time: float64(), kind: int8() });
    this.#waiting = context.keyed.multiTable({ name: "waiting", key: params.leftKey, value, subKey: "number" });
    this.#stored = new StoredRows(params.left, this.#waiting);
    this.#late = new LateRows(context, params.lateLeft);
    this.#nulls = new NullKeys(params.leftKey);
    this.#versions = new Versions(context, params.right, params.rightKey);
    this.#timers = context.keyed.timers("due", params.leftKey, "event");
    this.#sequence = new Sequence(context);
    this.#output = new JoinOutput(context, params, params.type);
  }

  process(batch: Batch, input: number): void {
    if (input === 0) this.#processStream(batch);
    else this.#versions.process(batch, (keys, k, timeMs) => this.#timers.register(keys, k, 0, timeMs));
  }

  #processStream(batch: Batch): void {
    const { rows, selection, count } = batch;
    const keys = this.#leftReader.read(batch);
    const watermarkMs = this.#context.watermarkMs();
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const timeMs = rows.times[row] as number;
      if (timeMs <= watermarkMs) {
        this.#late.add(batch, row);
        continue;
      }
      if (this.#nulls.has(rows, row)) {
        if (this.#outer) this.#output.emit(rows, row, null, 0, timeMs, rows.kindOf(row));
        continue;
      }
      const slot = this.#waiting.upsert(keys, k, 0, this.#sequence.take());
      this.#stored.store(rows, row, slot);
      this.#stored.note(0).numbers[slot] = timeMs;
      this.#stored.note(1).numbers[slot] = rows.kindOf(row);
      this.#timers.register(keys, k, 0, timeMs);
    }
    this.#output.flush();
    this.#late.flush(batch);
  }

  onWatermark(timeMs: number): void {
    this.#timers.fire(timeMs, (keys, _namespace, dueMs) => this.#join(keys, dueMs));
    this.#output.flush();
  }

  // Timers of a key fire in time order, so the rows that wait for this one all have the time `dueMs`.
  #join(keys: KeyBatch, dueMs: number): void {
    const valid = this.#versions.validAt(keys, dueMs);
    const { rows } = this.#stored;
    const [times, kinds] = [this.#stored.note(0).numbers, this.#stored.note(1).numbers];
    const { slots, count } = this.#waiting.entriesOf(keys, 0, 0);
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      const timeMs = times[slot] as number;
      if (timeMs > dueMs) continue;
      const kind = kinds[slot] as RowKind;
      if (valid >= 0) this.#output.emit(rows, slot, this.#versions.rows, valid, timeMs, kind);
      else if (this.#outer) this.#output.emit(rows, slot, null, 0, timeMs, kind);
      this.#waiting.delete(slot);
    }
    this.#versions.forgetBefore(keys, dueMs);
  }
}
