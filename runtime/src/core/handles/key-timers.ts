// Timers of the current key, in event time and in processing time.
import type { KeyLayout } from "../keys/key-layout.ts";
import type { KeyedState, Timers } from "../ports/state.ts";
import type { BoundKey } from "./state-handles.ts";

/** Timers of the key that is being processed. Setting one twice is setting it once; a time that has passed fires at the next step. */
export interface KeyTimers {
  /** Calls the function's timer handler when the watermark reaches `timeMs`. */
  onEventTime(timeMs: number): void;
  /** Calls the function's timer handler when the clock reaches `timeMs`. */
  onProcessingTime(timeMs: number): void;
  cancelEventTime(timeMs: number): void;
  cancelProcessingTime(timeMs: number): void;
}

/** The two tables of timers of an operator, and what a function sees of them. */
export interface BoundTimers {
  readonly event: Timers;
  readonly processing: Timers;
  readonly timers: KeyTimers;
}

export function keyTimers(keyed: KeyedState, key: KeyLayout, bound: BoundKey): BoundTimers {
  const event = keyed.timers("timers/event", key, "event");
  const processing = keyed.timers("timers/processing", key, "processing");
  const change = (action: "register" | "delete", timers: Timers, timeMs: number): void => {
    if (bound.keys === null) throw new Error("a timer was set outside of the processing of a key");
    if (!Number.isSafeInteger(timeMs)) throw new RangeError(`a timer's time must be an integer of milliseconds, not ${timeMs}`);
    timers[action](bound.keys, bound.k, bound.namespace, timeMs);
  };
  return {
    event,
    processing,
    timers: {
      onEventTime: (timeMs) => change("register", event, timeMs),
      onProcessingTime: (timeMs) => change("register", processing, timeMs),
      cancelEventTime: (timeMs) => change("delete", event, timeMs),
      cancelProcessingTime: (timeMs) => change("delete", processing, timeMs),
    },
  };
}
