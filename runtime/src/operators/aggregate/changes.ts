// Applies a batch of a changelog to accumulators: the rows that add, then the rows that take back.
import { Batch, isRetraction } from "../../core/batch/batch.ts";
import type { BoundAggregates } from "./aggregate-set.ts";

/**
 * The order between adding and taking back within one batch does not matter to any aggregate: what it keeps is the same either
 * way (only a list's order of arrival may differ).
 */
export class Changes {
  readonly #retracting: boolean;
  #rows: Int32Array = new Int32Array(0);
  #slots: Int32Array = new Int32Array(0);
  #batch: Batch | undefined;

  constructor(retracting: boolean) {
    this.#retracting = retracting;
  }

  apply(aggregates: BoundAggregates, slots: Int32Array, batch: Batch): void {
    const { kinds } = batch.rows;
    if (kinds === null || !this.#hasRetractions(kinds, batch)) {
      aggregates.update(slots, batch);
      return;
    }
    if (!this.#retracting) throw new Error("assertion failed: an aggregate over inserts was given a retraction");
    this.#apply(aggregates, slots, batch, kinds, false);
    this.#apply(aggregates, slots, batch, kinds, true);
  }

  #hasRetractions(kinds: Uint8Array, { selection, count }: Batch): boolean {
    for (let k = 0; k < count; k++) if (isRetraction(kinds[selection[k] as number] as number)) return true;
    return false;
  }

  #apply(aggregates: BoundAggregates, slots: Int32Array, batch: Batch, kinds: Uint8Array, retractions: boolean): void {
    if (this.#rows.length < batch.count) {
      this.#rows = new Int32Array(Math.max(batch.count, 1024));
      this.#slots = new Int32Array(this.#rows.length);
    }
    let count = 0;
    for (let k = 0; k < batch.count; k++) {
      const row = batch.selection[k] as number;
      if (isRetraction(kinds[row] as number) !== retractions) continue;
      this.#rows[count] = row;
      this.#slots[count++] = slots[k] as number;
    }
    if (count === 0) return;
    this.#batch ??= new Batch(batch.rows);
    this.#batch.set(batch.rows, this.#rows, count);
    if (retractions) aggregates.retract(this.#slots, this.#batch);
    else aggregates.update(this.#slots, this.#batch);
  }
}
