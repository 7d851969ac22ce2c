// Which batches of one fetch response belong to aborted transactions: the list that the broker gives, walked along with the offsets.
import type { AbortedTransaction } from "./data-apis.ts";

/**
 * As Kafka's own consumer does it: a producer's batches are dropped from the first offset of its aborted transaction
 * to the abort marker. Each response lists all aborted transactions that overlap it, so nothing is carried over.
 */
export class AbortedFilter {
  #pending: readonly AbortedTransaction[] = [];
  #next = 0;
  readonly #open = new Set<number>();

  reset(aborted: readonly AbortedTransaction[]): void {
    this.#pending = aborted.length > 1 ? aborted.toSorted((a, b) => a.firstOffset - b.firstOffset) : aborted;
    this.#next = 0;
    this.#open.clear();
  }

  /** Moves on to a batch; true when its records must be dropped. */
  drops(producerId: number, lastOffset: number): boolean {
    for (let entry = this.#pending[this.#next]; entry !== undefined && entry.firstOffset <= lastOffset; entry = this.#pending[this.#next]) {
      this.#open.add(entry.producerId);
      this.#next++;
    }
    return this.#open.size > 0 && this.#open.has(producerId);
  }

  /** An abort marker of the producer was reached. */
  ended(producerId: number): void {
    this.#open.delete(producerId);
  }
}
