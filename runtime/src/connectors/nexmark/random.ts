// The random numbers of one event: they follow from the seed and the event's number alone, so any event can be made at any time.

/**
 * A counter-based generator: draw k of event n is a mix of (seed, n, k), with the finalizer "lowbias32" (Chris Wellons,
 * "Prospecting for Hash Functions", public domain).
 */
export class EventRandom {
  #state = 0;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = mix(seed ^ 0x5bf03635);
  }

  /** Begins the draws of event `number`. */
  start(number: number): void {
    this.#state = mix(mix((number | 0) ^ this.#seed) + Math.imul(Math.floor(number / 4294967296), 0x27d4eb2f));
  }

  /** 32 random bits, as an integer from 0. */
  bits(): number {
    const state = (this.#state + 0x9e3779b9) | 0;
    this.#state = state;
    return mix(state) >>> 0;
  }

  /** An integer from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor(this.bits() * 2.3283064365386963e-10 * bound);
  }

  /** From 0 to below 1. */
  fraction(): number {
    return this.bits() * 2.3283064365386963e-10;
  }
}

function mix(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return h ^ (h >>> 15);
}
