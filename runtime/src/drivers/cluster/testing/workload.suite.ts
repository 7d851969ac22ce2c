// Jobs for tests over several slots, and what they must give, computed plainly from the same rows.
import { systemClock } from "../../../base/clock.ts";
import { type MemorySink, memorySource } from "../../../connectors/memory/index.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import type { Source } from "../../../core/ports/source.ts";
import { int32, string, timestamp } from "../../../core/schema/field.ts";
import { type RowType, schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import { job } from "../../../dsl/job.ts";
import type { Flow } from "../../../dsl/flow.ts";
import { session, tumbling } from "../../../dsl/windows.ts";
import { state } from "../../../index.ts";
import { count, max, sum } from "../../../operators/aggregate/call.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";

export const Bid = schema({ bidder: string(), price: int32(), at: timestamp(), note: string().nullable() });
export type Bid = RowType<typeof Bid>;
export type BidSource = ReturnType<typeof memorySource<Bid>>;

/** Per split rows are up to half a second out of order, which the watermarks of the jobs below allow for. */
export function makeBids(next: () => number, howMany: number): readonly Bid[] {
  return Array.from({ length: howMany }, (_, index) => ({
    bidder: `b${Math.floor(next() * 20)}`,
    price: Math.floor(next() * 1000),
    at: index * 10 + Math.floor(next() * 500),
    note: next() < 0.3 ? null : "x".repeat(Math.floor(next() * 30)),
  }));
}

export const splits = 4;
export const newSource = (): BidSource => memorySource(Bid, { splits });

/** Bid `index` of a list goes to the split of that number, so that splits stay in order. */
export function push(source: BidSource, bids: readonly Bid[], from = 0, to: number = bids.length): void {
  for (let index = from; index < to; index++) source.push(bids[index] as Bid, { split: `split-${index % splits}` });
}

/** Rows per poll: few, so that much is still to come when a checkpoint begins. */
const pollRows = 16;

/** The bids of a job's input. */
function stream(flow: Flow, source: BidSource) {
  return flow.source("bids", { source: smallPolls(source) }, { time: "at", watermarks: boundedOutOfOrderness(600) });
}

/** The source, a few rows at a time. */
export function smallPolls(source: BidSource): Source & { readonly schema: typeof Bid } {
  return {
    connector: source.connector,
    options: source.options,
    bounded: source.bounded,
    schema: Bid,
    openEnumerator: () => source.openEnumerator(),
    openReader: async () => {
      const reader = await source.openReader();
      return {
        assign: (some) => reader.assign(some),
        poll: () => reader.poll(pollRows),
        ready: () => reader.ready(),
        snapshot: () => reader.snapshot(),
        takeFinished: () => reader.takeFinished(),
        setPaused: (id, paused) => reader.setPaused(id, paused),
        lag: () => reader.lag(),
        close: () => reader.close(),
      };
    },
  };
}

export interface Workload {
  readonly name: string;
  build(source: BidSource, sink: Sink): Dataflow;
  /** What must be written, as lines in order. */
  expected(bids: readonly Bid[]): readonly string[];
}

const secondOf = (timeMs: number): number => Math.floor(timeMs / 1000) * 1000;

function groups(bids: readonly Bid[], of: (bid: Bid) => string): ReadonlyMap<string, readonly Bid[]> {
  return Map.groupBy(bids, of);
}

const windows: Workload = {
  name: "windows",
  build: (source, sink) =>
    job("windows", (flow) => {
      stream(flow, source)
        .keyBy("bidder")
        .window(tumbling(1000))
        .aggregate({ n: count(), total: sum("price"), best: max("price") }, { uid: "w" })
        .to("out", sink);
    }).build(),
  expected: (bids) =>
    [...groups(bids, (bid) => `${bid.bidder} ${secondOf(bid.at)}`)].map(([id, some]) => {
      const prices = some.map(({ price }) => price);
      return `${id} ${some.length} ${prices.reduce((a, b) => a + b, 0)} ${Math.max(...prices)}`;
    }),
};

const sessions: Workload = {
  name: "sessions",
  build: (source, sink) =>
    job("sessions", (flow) => {
      stream(flow, source)
        .keyBy("bidder")
        .window(session(130))
        .aggregate({ n: count(), total: sum("price") }, { uid: "s" })
        .to("out", sink);
    }).build(),
  expected: (bids) =>
    [...groups(bids, ({ bidder }) => bidder)].flatMap(([bidder, some]) => {
      const found: { startMs: number; endMs: number; n: number; total: number }[] = [];
      for (const { at, price } of [...some].sort((a, b) => a.at - b.at)) {
        const last = found.at(-1);
        if (last !== undefined && at <= last.endMs) {
          last.endMs = at + 130;
          last.n++;
          last.total += price;
        } else found.push({ startMs: at, endMs: at + 130, n: 1, total: price });
      }
      return found.map(({ startMs, n, total }) => `${bidder} ${startMs} ${n} ${total}`);
    }),
};

const Out = schema({ bidder: string(), windowStart: timestamp(), n: int32() });
const Seconds = schema({ n: int32() });

const timers: Workload = {
  name: "timers",
  build: (source, sink) =>
    job("timers", (flow) => {
      stream(flow, source)
        .keyBy("bidder")
        .process(
          {
            onRow(row, context) {
              const second = String(Math.floor(row.at / 1000) * 1000);
              context.state.seconds.set(second, { n: (context.state.seconds.get(second)?.n ?? 0) + 1 });
              context.timers.onEventTime(Number(second) + 999);
            },
            onTimer({ timeMs }, context) {
              const second = String(timeMs - 999);
              context.emit({ bidder: context.key.bidder, windowStart: Number(second), n: context.state.seconds.get(second)?.n ?? -1 });
              context.state.seconds.delete(second);
            },
          },
          { uid: "t", output: Out, state: { seconds: state.map(string(), Seconds) } },
        )
        .to("out", sink);
    }).build(),
  expected: (bids) => [...groups(bids, (bid) => `${bid.bidder} ${secondOf(bid.at)}`)].map(([id, some]) => `${id} ${some.length}`),
};

const twoShuffles: Workload = {
  name: "two shuffles, filtered between them",
  build: (source, sink) =>
    job("two", (flow) => {
      stream(flow, source)
        .keyBy("bidder")
        .window(tumbling(1000))
        .aggregate({ n: count(), total: sum("price") }, { uid: "w" })
        .filter((window) => window.n % 3 !== 0, { uid: "f" })
        .keyBy("n")
        .window(tumbling(1000))
        .aggregate({ m: count(), all: sum("total") }, { uid: "v" })
        .to("out", sink);
    }).build(),
  expected(bids) {
    const first = [...groups(bids, (bid) => `${bid.bidder} ${secondOf(bid.at)}`).values()]
      .map((some) => ({ at: secondOf((some[0] as Bid).at), n: some.length, total: some.reduce((all, { price }) => all + price, 0) }))
      .filter(({ n }) => n % 3 !== 0);
    return [...Map.groupBy(first, ({ n, at }) => `${n} ${at}`)].map(
      ([id, some]) => `${id} ${some.length} ${some.reduce((all, { total }) => all + total, 0)}`,
    );
  },
};

export const workloads: readonly Workload[] = [windows, sessions, timers, twoShuffles];

/** What a sink has made visible, as `expected` writes it. */
export function shown({ written }: MemorySink): readonly string[] {
  return written.map(({ row }) => {
    const { windowEnd: _end, ...rest } = row as Readonly<Record<string, unknown>>;
    return Object.values(rest).join(" ");
  });
}

/** A sink that takes `rows` rows at a time and then asks for patience, for some turns of the event loop or for good. */
export function slowSink(inner: Sink, rows: number, pause: () => Promise<void>): Sink {
  return {
    ...inner,
    connector: inner.connector,
    options: inner.options,
    accepts: inner.accepts,
    delivery: inner.delivery,
    openWriter: async (context, of) => {
      const writer = await inner.openWriter(context, of);
      let taken = 0;
      let waiting: Promise<void> | undefined;
      const slow: SinkWriter = {
        write(batch) {
          writer.write(batch);
          taken += batch.count;
          if (taken < rows || waiting !== undefined) return;
          taken = 0;
          waiting = pause().then(() => {
            waiting = undefined;
          });
        },
        ready: () => waiting,
        flush: () => writer.flush(),
        prepare: (checkpointId) => writer.prepare(checkpointId),
        commit: (checkpointId) => writer.commit(checkpointId),
        close: () => writer.close(),
      };
      return slow;
    },
  };
}

/** So many turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for real time to pass. */
export function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(ms, resolve);
  });
}
