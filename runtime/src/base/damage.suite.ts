// Random numbers, bytes and damage from a seed, for fuzzing.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In [0, 2^32): mulberry32 by Tommy Ettinger. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Buffer {
    const made = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) made[i] = this.below(256);
    return made;
  }
}

export const damages = ["none", "flip", "bytes", "cut", "longer", "random"] as const;
export type Damage = (typeof damages)[number];

/** A damaged copy. */
export function damaged(random: Random, good: Buffer, damage: Damage): Buffer {
  switch (damage) {
    case "none":
      return Buffer.from(good);
    case "flip": {
      const copy = Buffer.from(good);
      if (copy.length > 0) {
        const bit = random.below(copy.length * 8);
        copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      }
      return copy;
    }
    case "bytes": {
      const copy = Buffer.from(good);
      for (let hits = 1 + random.below(6); hits > 0 && copy.length > 0; hits--) {
        // The ends of ranges of lengths are what readers get wrong.
        copy[random.below(copy.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
      }
      return copy;
    }
    case "cut":
      return Buffer.from(good.subarray(0, random.below(good.length + 1)));
    case "longer":
      return Buffer.concat([good, random.bytes(1 + random.below(40))]);
    case "random":
      return random.bytes(random.below(400));
  }
}

/** Watches that memory does not run away: throws when the process's memory grows by more than `limitBytes`. */
export class MemoryWatch {
  readonly #limitBytes: number;
  readonly #beforeBytes: number = process.memoryUsage().rss;
  greatestBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  look(where: string): void {
    this.greatestBytes = Math.max(this.greatestBytes, process.memoryUsage().rss - this.#beforeBytes);
    if (this.greatestBytes > this.#limitBytes) throw new Error(`${where}: memory grew by ${Math.round(this.greatestBytes / 2 ** 20)} MiB`);
  }
}
