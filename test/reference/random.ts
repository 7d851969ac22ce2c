// Random numbers from a seed, so that a failing case can be run again: MILLRACE_SEED sets the seed, which is printed.

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough to choose test cases. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number in [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length - 1)] as T;
  }
}

/** The seed of this run: MILLRACE_SEED, or one from the clock. */
export function runSeed(): number {
  const given = process.env["MILLRACE_SEED"];
  return given === undefined ? Date.now() % 1_000_000 : Number(given);
}

/** Runs `count` cases; a failure names the seed and the case. */
export async function randomCases(
  name: string,
  count: number,
  run: (random: Random, index: number) => Promise<void> | void,
): Promise<void> {
  const seed = runSeed();
  process.stdout.write(`${name}: ${count} random cases, MILLRACE_SEED=${seed}\n`);
  for (let index = 0; index < count; index++) {
    try {
      await run(new Random(Math.imul(seed, 1_000_003) ^ Math.imul(index + 1, 0x9e3779b1)), index);
    } catch (error) {
      throw new Error(`${name}: case ${index} of MILLRACE_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
}
