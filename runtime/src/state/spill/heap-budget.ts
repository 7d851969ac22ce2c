// The memory that the heap parts of all tables of a process may take together, and what each of them may take of it.

/** A table that takes memory. */
export interface BudgetUser {
  /** What it takes now; it keeps this up to date. */
  readonly bytes: number;
}

export class HeapBudget {
  readonly totalBytes: number;
  readonly #users = new Set<BudgetUser>();

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  join(user: BudgetUser): void {
    this.#users.add(user);
  }

  leave(user: BudgetUser): void {
    this.#users.delete(user);
  }

  get usedBytes(): number {
    let used = 0;
    for (const user of this.#users) used += user.bytes;
    return used;
  }

  /**
   * The most that a table may take: its equal share, or more while others leave it unused. Tables above their share stop at three
   * quarters of the whole, because arrays that have grown do not shrink, and a table that fills later wants its share too.
   */
  allowanceOf(user: BudgetUser): number {
    const left = this.totalBytes - (this.usedBytes - user.bytes);
    const share = this.totalBytes / Math.max(1, this.#users.size);
    return Math.min(left, Math.max(share, left - this.totalBytes / 4));
  }
}
