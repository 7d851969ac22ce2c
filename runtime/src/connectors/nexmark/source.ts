// Nexmark as a source: events follow from their numbers, so a position is the number of the next event.
//
// One difference from github.com/nexmark/nexmark: there a bid's bidder is moved by FIRST_PERSON_ID twice, so bids name persons that
// do not exist; here, as in Apache Beam, once.
import { MillraceError } from "../../base/errors.ts";
import { RateLimit } from "../../base/rate-limit.ts";
import { Signal } from "../../base/signal.ts";
import type { Source, SourceBatch, SourceContext, SourceReader, SourceSplit, SplitEnumerator } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { type NexmarkConfig, nextOfSplit, roundSize } from "./config.ts";
import { EventDraw } from "./event.ts";

/** Makes blocks of events. */
export interface EventBlocks {
  /** The schema of its rows; undefined for raw records. */
  readonly schema?: Schema;
  /** The only type of events that it makes; undefined for all. */
  readonly only?: number;
  begin(count: number): void;
  put(draw: EventDraw, row: number, number: number): void;
  /** The block of the first `count` events that were put. */
  finish(splitId: string, count: number, firstNumber: number): SourceBatch;
}

interface Share {
  readonly id: string;
  readonly index: number;
  next: number;
  paused: boolean;
  reported: boolean;
  readonly limit: RateLimit;
}

const splitName = /^nexmark-(\d+)$/;
/** How many events that are not wanted are passed over in one poll, so that it stays short. */
const passOver = 100_000;

class NexmarkReader implements SourceReader {
  readonly #config: NexmarkConfig;
  readonly #context: SourceContext;
  readonly #blocks: EventBlocks;
  readonly #draw: EventDraw;
  readonly #round: number;
  readonly #changed = new Signal();
  readonly #shares: Share[] = [];
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(config: NexmarkConfig, context: SourceContext, makeBlocks: (draw: EventDraw) => EventBlocks) {
    this.#config = config;
    this.#context = context;
    this.#draw = new EventDraw(config);
    this.#blocks = makeBlocks(this.#draw);
    this.#round = roundSize(config);
  }

  assign(splits: readonly SourceSplit[]): void {
    for (const { id, position } of splits) {
      const index = Number(splitName.exec(id)?.[1] ?? -1);
      if (index < 0 || index >= this.#config.splits || !Number.isSafeInteger(position) || (position as number) < 0) {
        const problem = `split ${id} at ${JSON.stringify(position)} is not one of its ${this.#config.splits} splits`;
        throw new MillraceError(
          "POSITION_INVALID",
          `nexmark source ${this.#context.uid}`,
          problem,
          "keep the option splits as it was when the snapshot was taken",
        );
      }
      const limit = new RateLimit(this.#config.eventsPerSecond / this.#config.splits, this.#context.clock);
      const next = nextOfSplit(position as number, index, this.#config.splits, this.#round);
      this.#shares.push({ id, index, next, paused: false, reported: false, limit });
    }
    this.#changed.notify();
  }

  // The share that is furthest behind, so that event time advances evenly over the splits.
  #furthestBehind(): Share | undefined {
    let found: Share | undefined;
    for (const share of this.#shares) {
      if (share.paused || share.next >= this.#config.events || share.limit.available(1) < 1) continue;
      if (found === undefined || share.next < found.next) found = share;
    }
    return found;
  }

  poll(maxRecords: number): SourceBatch | null {
    if (this.#closed) return null;
    const share = this.#furthestBehind();
    if (share === undefined) return null;
    const { splits, events } = this.#config;
    const round = this.#round;
    const blocks = this.#blocks;
    const draw = this.#draw;
    const only = blocks.only ?? -1;
    const allowed = Math.min(share.limit.available(maxRecords), events - share.next);
    blocks.begin(allowed);
    const firstNumber = share.next;
    let number = firstNumber;
    let roundEnd = (Math.floor(number / round) + 1) * round;
    let made = 0;
    for (let looked = 0; made < allowed && number < events && looked < passOver; looked++) {
      if (only < 0 || draw.typeOf(number) === only) {
        draw.draw(number);
        blocks.put(draw, made++, number);
      }
      if (++number === roundEnd) {
        number += (splits - 1) * round;
        roundEnd = number + round;
      }
    }
    share.next = number;
    share.limit.take(made);
    return made === 0 ? this.poll(maxRecords) : blocks.finish(share.id, made, firstNumber);
  }

  async ready(): Promise<void> {
    while (!this.#closed) {
      if (this.#furthestBehind() !== undefined || this.#shares.some((share) => this.#isNewlyFinished(share))) return;
      this.#wakeWhenAllowed();
      await this.#changed.next();
    }
  }

  #wakeWhenAllowed(): void {
    const waiting = this.#shares.filter((share) => !share.paused && share.next < this.#config.events);
    if (waiting.length === 0 || this.#cancelTimer !== undefined) return;
    const waitMs = Math.min(...waiting.map((share) => share.limit.waitMs()));
    this.#cancelTimer = this.#context.clock.after(waitMs, () => {
      this.#cancelTimer = undefined;
      this.#changed.notify();
    });
  }

  snapshot(): readonly SourceSplit[] {
    return this.#shares.map((share) => ({ id: share.id, position: share.next }));
  }

  #isNewlyFinished(share: Share): boolean {
    return !share.reported && share.next >= this.#config.events;
  }

  takeFinished(): readonly string[] {
    const taken = this.#shares.filter((share) => this.#isNewlyFinished(share));
    for (const share of taken) share.reported = true;
    return taken.map((share) => share.id);
  }

  setPaused(splitId: string, paused: boolean): void {
    for (const share of this.#shares) if (share.id === splitId) share.paused = paused;
    if (!paused) this.#changed.notify();
  }

  lag(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#changed.notify();
  }
}

/** A source over the events of `config` in the form that `makeBlocks` gives them. */
export function nexmarkSource(
  config: NexmarkConfig,
  form: string,
  schema: Schema | undefined,
  makeBlocks: (draw: EventDraw) => EventBlocks,
): Source {
  const { events, eventsPerSecond, ...rest } = config;
  const bounded = Number.isFinite(events);
  return {
    connector: "nexmark",
    options: { form, ...rest, ...(bounded ? { events } : {}), ...(Number.isFinite(eventsPerSecond) ? { eventsPerSecond } : {}) },
    bounded,
    ...(schema === undefined ? {} : { schema }),
    openEnumerator: async (): Promise<SplitEnumerator> => ({
      intervalMs: Number.POSITIVE_INFINITY,
      async discover(known) {
        const all = Array.from({ length: config.splits }, (_, index) => ({ id: `nexmark-${index}`, position: index * roundSize(config) }));
        return all.filter((split) => !known.has(split.id));
      },
      async close() {},
    }),
    openReader: async (context) => new NexmarkReader(config, context, makeBlocks),
  };
}
