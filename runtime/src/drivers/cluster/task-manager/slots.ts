// The slots of this process: one thread each, started again when it dies.
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { OfferedSlot } from "../coordinator/slot-pool.ts";
import type { RegisteredSlice } from "../coordinator/types.ts";
import type { SlotCommand, SlotEvent } from "../slot-protocol.ts";
import type { OpenSlot, SlotRunner } from "../slot-runner.ts";

export interface SlotsListener {
  event(index: number, event: SlotEvent): void;
  died(index: number, incarnation: number, reason: string): void;
  back(slot: OfferedSlot): void;
}

interface Held {
  readonly runner: SlotRunner;
  readonly incarnation: number;
}

/** Between two starts of a thread that does not start, ms. */
const retryMs = 1000;

export class Slots {
  readonly #open: OpenSlot;
  readonly #listener: SlotsListener;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #held: (Held | undefined)[];
  readonly #incarnations: number[];
  readonly #starting = new Set<Promise<void>>();
  #closed = false;

  constructor(count: number, open: OpenSlot, clock: Clock, log: Log, listener: SlotsListener) {
    this.#open = open;
    this.#listener = listener;
    this.#clock = clock;
    this.#log = log;
    this.#held = Array.from({ length: count }, () => undefined);
    this.#incarnations = this.#held.map(() => 0);
  }

  /** Starts all threads. Rejects when one cannot start: then something is wrong with this process. */
  async start(): Promise<void> {
    await Promise.all(this.#held.map((_, index) => this.#begin(index)));
  }

  offered(): readonly OfferedSlot[] {
    return this.#held.flatMap((held, index) => (held === undefined ? [] : [offer(index, held)]));
  }

  async slices(): Promise<readonly RegisteredSlice[]> {
    const all = this.#held.map(async (held, index) => {
      const statuses = (await held?.runner.status().catch(() => [])) ?? [];
      return statuses.map((status) => ({ index, status }));
    });
    return (await Promise.all(all)).flat();
  }

  /** A command for a thread that has been replaced is dropped: what it was about is gone. */
  command(index: number, incarnation: number, command: SlotCommand): void {
    const held = this.#held[index];
    if (held?.incarnation === incarnation) held.runner.command(command);
  }

  profile(index: number, durationMs: number): Promise<object> {
    const held = this.#held[index];
    return held === undefined ? Promise.reject(new Error(`slot ${index} is starting`)) : held.runner.profile(durationMs);
  }

  /** Ends a thread and starts another one in its place. */
  async reset(index: number): Promise<void> {
    const held = this.#held[index];
    if (held === undefined) return;
    this.#held[index] = undefined;
    this.#listener.died(index, held.incarnation, "was ended on the leader's order");
    await held.runner.close();
    this.#restart(index);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#starting);
    await Promise.all(this.#held.map((held) => held?.runner.close()));
  }

  async #begin(index: number): Promise<void> {
    const incarnation = ((this.#incarnations[index] ?? 0) + 1) % Number.MAX_SAFE_INTEGER;
    this.#incarnations[index] = incarnation;
    const isCurrent = (): boolean => this.#incarnations[index] === incarnation && !this.#closed;
    const runner = await this.#open(index, {
      event: (event) => {
        if (isCurrent()) this.#listener.event(index, event);
      },
      died: (reason) => {
        if (!isCurrent() || this.#held[index] === undefined) return;
        this.#held[index] = undefined;
        this.#log.error("slot died", { slot: index, reason });
        this.#listener.died(index, incarnation, reason);
        this.#restart(index);
      },
    });
    this.#held[index] = { runner, incarnation };
  }

  #restart(index: number): void {
    if (this.#closed) return;
    const starting = this.#begin(index).then(
      () => {
        const held = this.#held[index];
        if (held !== undefined) this.#listener.back(offer(index, held));
      },
      (error: unknown) => {
        this.#log.error("slot cannot be started", { slot: index, reason: messageOf(error) });
        this.#clock.after(retryMs, () => this.#restart(index));
      },
    );
    this.#starting.add(starting);
    starting.finally(() => this.#starting.delete(starting)).catch(() => {});
  }
}

function offer(index: number, { runner, incarnation }: Held): OfferedSlot {
  return { index, incarnation, host: runner.host, port: runner.port };
}
