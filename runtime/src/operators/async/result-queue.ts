// In which order finished calls are given out, and behind which of them watermarks wait.

/** A call under way or done, as the queue sees it. */
export interface Pending {
  done: boolean;
}

export interface ResultQueue<Entry extends Pending> {
  /** A row has come. */
  add(entry: Entry): void;
  /** A watermark has come: it goes on after all rows before it. */
  addWatermark(timeMs: number): void;
  /** `entry.done` is now true. */
  complete(entry: Entry): void;
  /** Takes out what can be given out, in order. */
  drain(give: (entry: Entry) => void, forward: (timeMs: number) => void): void;
  /** Everything that was not given out, in the order of arrival. */
  entries(): readonly Entry[];
}

/** Rows go out in the order in which they came. */
export class OrderedQueue<Entry extends Pending> implements ResultQueue<Entry> {
  #items: (Entry | number)[] = [];

  add(entry: Entry): void {
    this.#items.push(entry);
  }

  addWatermark(timeMs: number): void {
    const last = this.#items.length - 1;
    // Of watermarks with no row between them the last says it all.
    if (typeof this.#items[last] === "number") this.#items[last] = timeMs;
    else this.#items.push(timeMs);
  }

  complete(): void {}

  drain(give: (entry: Entry) => void, forward: (timeMs: number) => void): void {
    let taken = 0;
    for (const item of this.#items) {
      if (typeof item === "number") forward(item);
      else if (item.done) give(item);
      else break;
      taken++;
    }
    if (taken > 0) this.#items = this.#items.slice(taken);
  }

  entries(): readonly Entry[] {
    return this.#items.filter((item): item is Entry => typeof item !== "number");
  }
}

interface Epoch<Entry> {
  /** In the order of arrival. */
  readonly pending: Set<Entry>;
  done: Entry[];
  /** The watermark that ends the epoch; undefined for the last one. */
  endMs: number | undefined;
}

/**
 * Rows go out as their calls finish, but never past a watermark: rows between two watermarks are an epoch, and an epoch's rows
 * wait until all earlier epochs have gone out. The scheme is that of Flink's unordered async wait operator.
 */
export class UnorderedQueue<Entry extends Pending> implements ResultQueue<Entry> {
  readonly #epochs: Epoch<Entry>[] = [{ pending: new Set(), done: [], endMs: undefined }];
  readonly #epochOf = new Map<Entry, Epoch<Entry>>();

  add(entry: Entry): void {
    const epoch = this.#epochs.at(-1) as Epoch<Entry>;
    epoch.pending.add(entry);
    this.#epochOf.set(entry, epoch);
  }

  addWatermark(timeMs: number): void {
    const last = this.#epochs.at(-1) as Epoch<Entry>;
    const before = this.#epochs.at(-2);
    if (before !== undefined && last.pending.size === 0 && last.done.length === 0) {
      before.endMs = timeMs;
      return;
    }
    last.endMs = timeMs;
    this.#epochs.push({ pending: new Set(), done: [], endMs: undefined });
  }

  complete(entry: Entry): void {
    const epoch = this.#epochOf.get(entry);
    if (epoch === undefined) return;
    this.#epochOf.delete(entry);
    epoch.pending.delete(entry);
    epoch.done.push(entry);
  }

  drain(give: (entry: Entry) => void, forward: (timeMs: number) => void): void {
    for (;;) {
      const head = this.#epochs[0] as Epoch<Entry>;
      const { done } = head;
      head.done = [];
      for (const entry of done) give(entry);
      if (head.pending.size > 0 || head.endMs === undefined) return;
      forward(head.endMs);
      this.#epochs.shift();
    }
  }

  entries(): readonly Entry[] {
    return this.#epochs.flatMap((epoch) => [...epoch.done, ...epoch.pending]);
  }
}
