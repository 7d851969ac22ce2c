// What a trigger gets to see of one window of one key; one object for all calls.
import type { Clock } from "../../base/clock.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { TriggerContext, TriggerWindow } from "./trigger.ts";
import type { WindowEntries } from "./window-entries.ts";

export class TriggerCall implements TriggerContext {
  readonly time: "event" | "processing";
  readonly window: { -readonly [Name in keyof TriggerWindow]: TriggerWindow[Name] } = { startMs: 0, endMs: 0 };
  watermarkMs: number = -Infinity;
  state: unknown = null;
  readonly #entries: WindowEntries;
  readonly #clock: Clock;
  #keys: KeyBatch | undefined;
  #k = 0;
  #id = 0;
  #slot = 0;

  constructor(entries: WindowEntries, time: "event" | "processing", clock: Clock) {
    this.#entries = entries;
    this.time = time;
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  /** Points at a window. */
  of(keys: KeyBatch, k: number, id: number, slot: number, watermarkMs: number): this {
    this.#keys = keys;
    this.#k = k;
    this.#id = id;
    this.#slot = slot;
    this.window.startMs = this.#entries.startOf(slot);
    this.window.endMs = this.#entries.endOf(slot);
    this.watermarkMs = watermarkMs;
    this.state = this.#entries.triggerState(slot);
    return this;
  }

  /** Keeps the state that the trigger left. */
  keep(): void {
    this.#entries.setTriggerState(this.#slot, this.state ?? null);
  }

  registerEventTime(timeMs: number): void {
    this.#entries.eventTimers.register(this.#keys as KeyBatch, this.#k, this.#id, timeMs);
  }

  registerProcessingTime(timeMs: number): void {
    this.#entries.processingTimers.register(this.#keys as KeyBatch, this.#k, this.#id, timeMs);
  }
}
