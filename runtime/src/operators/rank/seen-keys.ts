// The keys of which a row has passed: for ever, for a time to live, or until the watermark is so far past the row.
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive, Timers } from "../../core/ports/state.ts";
import type { Column } from "../../core/batch/column.ts";
import { float64 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";

export interface SeenKeysParams {
  readonly key: KeyLayout;
  readonly ttl?: TimeToLive;
  readonly withinMs?: number;
}

export class SeenKeys {
  readonly table: KeyedTable;
  readonly #withinMs: number;
  readonly #timers: Timers | undefined;

  constructor(context: OperatorContext, { key, ttl, withinMs }: SeenKeysParams) {
    this.#withinMs = withinMs ?? Infinity;
    // Without a bound in event time a key is all there is to know.
    const value = withinMs === undefined ? schema({}) : schema({ time: float64() });
    this.table = context.keyed.table({ name: "seen", key, value, ...(ttl === undefined ? {} : { ttl }) });
    this.#timers = withinMs === undefined ? undefined : context.keyed.timers("forget", key, "event");
  }

  /** True where a row of this time is a duplicate. */
  has(keys: KeyBatch, k: number, timeMs: number): boolean {
    const slot = this.table.find(keys, k, 0, false);
    return slot >= 0 && (this.#timers === undefined || timeMs < (this.#times[slot] as number) + this.#withinMs);
  }

  /** A row of this time has passed. */
  add(keys: KeyBatch, k: number, timeMs: number): void {
    const slot = this.table.find(keys, k, 0, true);
    if (this.#timers === undefined) return;
    this.#times[slot] = timeMs;
    this.table.touch(slot);
    this.#timers.register(keys, k, 0, timeMs + this.#withinMs - 1);
  }

  onWatermark(watermarkMs: number): void {
    this.#timers?.fire(watermarkMs, (keys, _namespace, timerMs) => {
      const slot = this.table.find(keys, 0, 0, false);
      // A later row of the key may have passed since.
      if (slot >= 0 && (this.#times[slot] as number) + this.#withinMs - 1 <= timerMs) this.table.delete(slot);
    });
  }

  get #times(): Float64Array {
    return (this.table.columns[0] as Column).numbers;
  }
}
