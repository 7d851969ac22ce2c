// Random numbers from a seed, so that a failing case can be run again: MILLRACE_SEED sets the seed, MILLRACE_CASES the number of cases.

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

/**
 * The seed of this run: MILLRACE_SEED, or the same one every time. A run that decides about a change must not depend on luck;
 * other seeds are tried by `npm run test:seeds`.
 */
export function runSeed(): number {
  return given("MILLRACE_SEED", 1, (value) => Number.isInteger(value) && Math.abs(value) <= 2 ** 31);
}

/** How many cases a test takes that by itself takes `count`: MILLRACE_CASES times as many. */
export function casesOf(count: number): number {
  return Math.max(1, Math.round(count * given("MILLRACE_CASES", 1, (value) => value > 0)));
}

function given(name: string, otherwise: number, isGood: (value: number) => boolean): number {
  const text = process.env[name];
  if (text === undefined || text === "") return otherwise;
  const value = Number(text);
  if (!isGood(value)) throw new Error(`${name}=${text} is no number that a run of the tests can take`);
  return value;
}

/** Runs `count` cases, or as many as `casesOf` makes of it; a failure names the seed and the case. */
export async function randomCases(
  name: string,
  count: number,
  run: (random: Random, index: number) => Promise<void> | void,
): Promise<void> {
  const seed = runSeed();
  const cases = casesOf(count);
  process.stdout.write(`${name}: ${cases} random cases, MILLRACE_SEED=${seed}\n`);
  for (let index = 0; index < cases; index++) {
    try {
      await run(new Random(Math.imul(seed, 1_000_003) ^ Math.imul(index + 1, 0x9e3779b1)), index);
    } catch (error) {
      throw new Error(`${name}: case ${index} of MILLRACE_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
}
