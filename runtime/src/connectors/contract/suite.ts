// What the contract suites share: how a check is registered, deadlines, and contexts as a driver would give them.
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { SourceContext } from "../../core/ports/source.ts";

/** Registers one check. The `test` or `it` of vitest, node:test, mocha or jest fits. */
export type RegisterTest = (name: string, run: () => Promise<void>) => unknown;

/** How long a contract check waits for something that must happen, ms. */
export const patienceMs = 60_000;

/** The promise, or a rejection that names `what` after `patienceMs`. */
export async function within<T>(promise: Promise<T>, what: string, limitMs: number = patienceMs): Promise<T> {
  let cancel: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = setTimeout(() => reject(new Error(`${what} did not happen within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(cancel);
  }
}

/** Lets timers and input run for a while. */
export function pause(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}

/** A source context like a driver's. Bad rows fail the check: the suite's input has none. */
export function contractContext(subtask = 0): SourceContext {
  return {
    jobName: "contract",
    uid: "contract-source",
    subtask,
    clock: systemClock,
    log: silentLog,
    badRow(bad) {
      throw new Error(`the connector refused a record of the fixture: ${bad.code}: ${bad.reason}`);
    },
  };
}

/** What JSON keeps of a value: positions and states go through it, as they do in a snapshot. */
export function throughJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** A small seeded generator (mulberry32), so that random checks can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
