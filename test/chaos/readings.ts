// The readings of the exactly-once test, made from a seed, and what the job must give for them.
import { random } from "../bench/bids.ts";
import type { ValueBlock } from "../support/produce.ts";

const firstTimeMs = 1_700_000_000_000;
const windowMs = 10_000;

export interface Readings {
  readonly block: ValueBlock;
  /** `key windowStart` -> `n least greatest total`, computed without the engine. */
  readonly expected: ReadonlyMap<string, string>;
}

/** Event time moves 1 ms per `perMs` readings and is up to 1 s out of order: nothing is late with a bound of 2 s. */
export function makeReadings(count: number, keys: number, seed: number, perMs = 4): Readings {
  const next = random(seed);
  const bytes = Buffer.allocUnsafeSlow(count * 80);
  const starts = new Int32Array(count);
  const ends = new Int32Array(count);
  const windows = new Map<string, { n: number; least: number; greatest: number; total: number }>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const key = `sensor-${Math.floor(next() * keys)}`;
    const value = Math.floor(next() * 2_000_000) - 1_000_000;
    const time = firstTimeMs + Math.floor(i / perMs) - Math.floor(next() * 1000);
    starts[i] = at;
    at += bytes.write(`{"key":"${key}","value":${value},"at":${time}}`, at, "latin1");
    ends[i] = at;
    const id = `${key} ${Math.floor(time / windowMs) * windowMs}`;
    const window = windows.get(id);
    if (window === undefined) windows.set(id, { n: 1, least: value, greatest: value, total: value });
    else {
      window.n++;
      window.least = Math.min(window.least, value);
      window.greatest = Math.max(window.greatest, value);
      window.total += value;
    }
  }
  const expected = new Map([...windows].map(([id, { n, least, greatest, total }]) => [id, `${n} ${least} ${greatest} ${total}`]));
  return { block: { bytes: bytes.subarray(0, at), starts, ends }, expected };
}
