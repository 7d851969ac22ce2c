// A growing list of slots that is filled anew for each use.

export class SlotBuffer {
  slots: Int32Array = new Int32Array(64);
  count = 0;

  clear(): this {
    this.count = 0;
    return this;
  }

  push(slot: number): void {
    if (this.count === this.slots.length) {
      const grown = new Int32Array(this.count * 2);
      grown.set(this.slots);
      this.slots = grown;
    }
    this.slots[this.count++] = slot;
  }
}
