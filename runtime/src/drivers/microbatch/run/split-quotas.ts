// How many records a batch takes of each split: in proportion to what waits there, so that none runs ahead of the others in event time.

export class SplitQuotas {
  readonly #left: Map<string, number>;

  private constructor(left: Map<string, number>) {
    this.#left = left;
  }

  /** Quotas of at most about `maxRecords` together; undefined where everything that waits may be taken. */
  static of(lags: ReadonlyMap<string, number>, maxRecords: number): SplitQuotas | undefined {
    let total = 0;
    for (const lag of lags.values()) total += lag;
    if (total <= maxRecords) return undefined;
    const left = new Map<string, number>();
    for (const [id, lag] of lags) if (lag > 0) left.set(id, Math.max(1, Math.floor((maxRecords * lag) / total)));
    return new SplitQuotas(left);
  }

  /** Quotas that somebody else has shared out. */
  static given(quotas: Readonly<Record<string, number>>): SplitQuotas {
    return new SplitQuotas(new Map(Object.entries(quotas).filter(([, quota]) => quota > 0)));
  }

  /** What each split may still give. */
  get left(): ReadonlyMap<string, number> {
    return this.#left;
  }

  /** The most records of the next block, of whichever split it is; 0 when all quotas are used up. */
  get next(): number {
    let least = Infinity;
    for (const left of this.#left.values()) if (left < least) least = left;
    return least === Infinity ? 0 : least;
  }

  /** A block was taken; true when its split has nothing left in this batch. */
  take(splitId: string, records: number): boolean {
    const left = this.#left.get(splitId);
    if (left === undefined) return true;
    if (left > records) {
      this.#left.set(splitId, left - records);
      return false;
    }
    this.#left.delete(splitId);
    return true;
  }
}
