// The slots that were used last, each once: what an eviction spares, so that keys which come again and again stay on the heap.

/** How many are remembered. */
export const mostRecent = 16;

export class RecentSlots {
  /** In the order of their last use, the latest first. */
  readonly #slots: Int32Array = new Int32Array(mostRecent).fill(-1);

  add(slot: number): void {
    const slots = this.#slots;
    if (slots[0] === slot) return;
    const at = slots.indexOf(slot);
    // The one that was used longest ago gives way.
    slots.copyWithin(1, 0, at < 0 ? mostRecent - 1 : at);
    slots[0] = slot;
  }

  /** True for one of the `count` slots that were used last. */
  isAmong(slot: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#slots[i] === slot) return true;
    return false;
  }
}
