// Takes part in the election of a leader: tries for the lease, renews it, and stops leading before anybody else can start.
//
// The holder writes every `retryMs`. Others measure by their own clock how long the record stands unchanged; past `durationMs` they take it.
// The holder gives up when its last successful write began more than `renewMs` ago, which is less: so there is a time without a leader,
// never one with two. (A process that was stopped in between is fenced by its epoch at the storage and at every TaskManager.)
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { LeaderAddress } from "./leader-address.ts";
import { addressOf, type LeaseRecord, type LeaseState, type LeaseStore } from "./lease.ts";

export interface ElectionTimes {
  readonly durationMs: number;
  readonly renewMs: number;
  readonly retryMs: number;
  /** How often those who do not lead look, where that costs little. Default: `retryMs`. */
  readonly lookMs?: number;
}

export const leaseTimes: ElectionTimes = { durationMs: 15_000, renewMs: 10_000, retryMs: 2000 };

export interface ElectorParts {
  readonly holder: string;
  readonly address: LeaderAddress;
  readonly store: LeaseStore;
  readonly times: ElectionTimes;
  /** Must not jump: not the time of day. */
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The lease is this process's. */
  lead(): void;
  /** It is not any more: stop acting now. */
  lost(reason: string): void;
}

export class Elector {
  readonly #parts: ElectorParts;
  #seen: { readonly key: string; readonly sinceMs: number } | undefined;
  #leader: LeaseRecord | undefined;
  #leading = false;
  #renewedMs = 0;
  #renewals = 0;
  #stopped = false;
  #cancel: (() => void) | undefined;
  #unwatch: (() => void) | undefined;
  #watchdog: (() => void) | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: ElectorParts) {
    this.#parts = parts;
  }

  get isLeading(): boolean {
    return this.#leading;
  }

  /** Whoever holds the lease, as far as this process knows. */
  get leader(): LeaderAddress | undefined {
    return this.#leading ? this.#parts.address : addressOf(this.#leader);
  }

  start(): void {
    this.#schedule(0);
  }

  /** Leaves the election and gives the lease back, so that the next leader need not wait. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    this.#unwatch?.();
    this.#watchdog?.();
    await this.#turn;
    if (!this.#leading) return;
    this.#leading = false;
    const state = await this.#parts.store.read().catch(() => undefined);
    if (state?.record.holder !== this.#parts.holder) return;
    await this.#parts.store.write({ ...this.#record(), released: true }, state.version).catch(() => false);
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#cancel?.();
    this.#cancel = this.#parts.clock.after(delayMs, () => {
      this.#unwatch?.();
      this.#unwatch = undefined;
      this.#turn = this.#attempt()
        .catch((error: unknown) => this.#parts.log.warn("the lease cannot be reached", { reason: messageOf(error) }))
        .then(() => {
          // Candidates that lost the same leader do not ask at one instant.
          const { retryMs, lookMs = retryMs } = this.#parts.times;
          this.#schedule(this.#leading ? retryMs : lookMs * (0.9 + 0.2 * this.#parts.random()));
          if (!this.#leading && !this.#stopped) this.#unwatch = this.#parts.store.watchHolder?.(() => this.#schedule(0));
        });
    });
  }

  async #attempt(): Promise<void> {
    const { store, clock, times } = this.#parts;
    const startedMs = clock.now();
    const state = await store.read();
    if (this.#stopped) return;
    this.#look(state, clock.now());
    if (this.#leading && state?.record.holder !== this.#parts.holder) {
      this.#lose(
        state?.damage === undefined ? `${state?.record.holder || "nobody"} holds the lease` : `the lease is damaged: ${state.damage}`,
      );
      return;
    }
    if (!this.#leading && !this.#isFree(state, clock.now())) return;
    this.#renewals = Math.max(this.#renewals, state?.record.renewals ?? 0) + 1;
    const written = await store.write(this.#record(), state?.version);
    if (!written) return;
    // Too late to rely on it: others may have seen the record stand still for that long.
    if (clock.now() - startedMs >= times.renewMs) return;
    this.#renewedMs = startedMs;
    this.#watch();
    if (this.#leading || this.#stopped) return;
    this.#leading = true;
    this.#parts.lead();
  }

  #look(state: LeaseState | undefined, nowMs: number): void {
    this.#leader = state?.record;
    const key = state === undefined ? "" : `${state.version} ${state.record.holder} ${state.record.renewals}`;
    if (this.#seen?.key === key) return;
    this.#seen = { key, sinceMs: nowMs };
    if (state?.damage !== undefined)
      this.#parts.log.warn("the lease is damaged; it is replaced when nobody has renewed it", {
        reason: state.damage,
        durationMs: state.record.durationMs,
      });
  }

  #isFree(state: LeaseState | undefined, nowMs: number): boolean {
    if (state === undefined || state.record.released || state.holderIsDead) return true;
    // A process that restarted under its old name is a new one: it waits like the others.
    return nowMs - (this.#seen?.sinceMs ?? nowMs) >= state.record.durationMs;
  }

  #record(): LeaseRecord {
    const { holder, address, times } = this.#parts;
    return { holder, address, renewals: this.#renewals, durationMs: times.durationMs, released: false };
  }

  // Fires even when a renewal hangs.
  #watch(): void {
    this.#watchdog?.();
    const { clock, times } = this.#parts;
    this.#watchdog = clock.after(Math.max(0, this.#renewedMs + times.renewMs - clock.now()), () => {
      if (this.#leading && !this.#stopped) this.#lose(`the lease could not be renewed for ${times.renewMs} ms`);
    });
  }

  #lose(reason: string): void {
    this.#leading = false;
    this.#watchdog?.();
    this.#parts.lost(reason);
  }
}
