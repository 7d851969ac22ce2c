// One core benchmark in a process of its own: a job over bids in memory; prints its figures as one line of JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../runtime/src/base/clock.ts";
import { silentLog } from "../../runtime/src/base/log.ts";
import type { Batch } from "../../runtime/src/core/batch/batch.ts";
import type { Sink } from "../../runtime/src/core/ports/sink.ts";
import { int53, string, timestamp } from "../../runtime/src/core/schema/field.ts";
import { schema } from "../../runtime/src/core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../runtime/src/core/time/watermark-strategy.ts";
import { JobRun } from "../../runtime/src/drivers/continuous/job-run.ts";
import type { Flow } from "../../runtime/src/dsl/flow.ts";
import { job } from "../../runtime/src/dsl/job.ts";
import { tumbling } from "../../runtime/src/dsl/windows.ts";
import { count, max } from "../../runtime/src/operators/aggregate/call.ts";
import { json } from "../../runtime/src/serde/json/json.ts";
import { openStateBackend } from "../../runtime/src/cli/run/state-backend.ts";
import { type BidBlock, blockSource, generateBids } from "./bids.ts";

export const coreQueries = ["passthrough", "filter", "window", "count"] as const;
export type CoreQuery = (typeof coreQueries)[number];

const Bid = schema({
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  url: string(),
  dateTime: timestamp(),
  extra: string(),
});

const checked = 1_048_576;

/** Counts rows and adds up what they hold, so that an output can be checked. */
class CheckSink implements Sink {
  readonly connector = "check";
  readonly options = {};
  readonly accepts = "retract";
  readonly delivery = "at-least-once";
  rows = 0;
  sum = 0;
  readonly #fields: readonly string[];

  constructor(fields: readonly string[]) {
    this.#fields = fields;
  }

  openWriter(...[, schemaOf]: Parameters<Sink["openWriter"]>): ReturnType<Sink["openWriter"]> {
    const indexes = this.#fields.map((name) => schemaOf.field(name).index);
    return Promise.resolve({
      write: (batch: Batch) => this.#write(batch, indexes),
      ready: () => undefined,
      flush: () => Promise.resolve(),
      prepare: () => Promise.resolve(new Uint8Array(0)),
      commit: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
  }

  #write({ rows, selection, count: selected }: Batch, indexes: readonly number[]): void {
    this.rows += selected;
    for (const index of indexes) {
      const { numbers } = rows.column(index);
      let sum = 0;
      for (let k = 0; k < selected; k++) {
        const row = selection[k] as number;
        const kind = rows.kinds === null ? 0 : (rows.kinds[row] as number);
        // Below 2^20, so that the sum of millions of rows is exact.
        const value = (numbers[row] as number) % checked;
        sum += kind === 1 || kind === 3 ? -value : value;
      }
      this.sum += sum;
    }
  }
}

interface Built {
  readonly sink: CheckSink;
  readonly describe: (flow: Flow) => void;
  readonly expected: (block: BidBlock) => { readonly sum: number };
}

function build(query: CoreQuery, block: BidBlock): Built {
  const bids = (flow: Flow) =>
    flow.source("bids", { source: blockSource(block), format: json(Bid) }, { time: "dateTime", watermarks: boundedOutOfOrderness("4 s") });
  const total = (values: Float64Array): number => values.reduce((sum, value) => sum + (value % checked), 0);
  switch (query) {
    case "passthrough": {
      const sink = new CheckSink(["auction", "bidder", "price", "dateTime"]);
      const { auction, bidder, price, dateTime } = block.bids;
      return {
        sink,
        describe: (flow) => bids(flow).select("auction", "bidder", "price", "dateTime").to("out", sink),
        expected: () => ({ sum: total(auction) + total(bidder) + total(price) + total(dateTime) }),
      };
    }
    case "filter": {
      const sink = new CheckSink(["price"]);
      return {
        sink,
        describe: (flow) =>
          bids(flow)
            .filter((bid) => bid.auction % 123 === 0)
            .select("auction", "price")
            .to("out", sink),
        expected: () => ({ sum: total(block.bids.price.filter((_, index) => (block.bids.auction[index] as number) % 123 === 0)) }),
      };
    }
    case "window": {
      const sink = new CheckSink(["n", "best"]);
      return {
        sink,
        describe: (flow) =>
          bids(flow)
            .keyBy("bidder")
            .window(tumbling("10 s"))
            .aggregate({ n: count(), best: max("price") }, { uid: "w" })
            .to("out", sink),
        expected: () => {
          const windows = new Map<string, number>();
          const { bidder, price, dateTime } = block.bids;
          for (let i = 0; i < bidder.length; i++) {
            const id = `${bidder[i]} ${Math.floor((dateTime[i] as number) / 10_000)}`;
            windows.set(id, Math.max(windows.get(id) ?? 0, price[i] as number));
          }
          return { sum: bidder.length + [...windows.values()].reduce((sum, best) => sum + (best % checked), 0) };
        },
      };
    }
    case "count": {
      const sink = new CheckSink(["n"]);
      return {
        sink,
        describe: (flow) => bids(flow).keyBy("auction").aggregate({ n: count() }, { uid: "c", upsert: false }).to("out", sink),
        expected: () => ({ sum: block.bids.auction.length }),
      };
    }
  }
}

const [query = "passthrough", backend = "memory", records = "1000000"] = process.argv.slice(2);
const block = generateBids({ count: Number(records), auctions: query === "count" ? 2_000_000 : 10_000, seed: 42 });
const built = build(query as CoreQuery, block);
const dataflow = job(`bench-${query}`, built.describe).build();
const directory = await mkdtemp(join(tmpdir(), "millrace-bench-"));
const before = process.cpuUsage();
const startedMs = performance.now();
const run = await JobRun.start({
  jobName: dataflow.name,
  dataflow,
  parallelism: 1,
  maxParallelism: 128,
  clock: systemClock,
  log: silentLog,
  stateBackend: await openStateBackend({ backend: backend === "rocksdb" ? "rocksdb" : "memory", memoryBudgetBytes: 256 * 1024 * 1024 }),
  workDirectory: directory,
  checkpointIntervalMs: Infinity,
  badRows: { onBadRecord: "fail", maxPerMinute: 0 },
  saver: undefined,
  checkpoints: { intervalMs: Infinity, minPauseMs: 0, tolerableFailures: 0 },
  nextCheckpointId: 1,
  restoredSources: new Map(),
});
await run.done;
const wallSeconds = (performance.now() - startedMs) / 1000;
const used = process.cpuUsage(before);
await rm(directory, { recursive: true, force: true });
const expected = built.expected(block);
const correct = built.sink.sum === expected.sum;
const cpuSeconds = (used.user + used.system) / 1e6;
process.stdout.write(
  `${JSON.stringify({ query, backend, records: Number(records), wallSeconds, cpuSeconds, correct, rowsOut: built.sink.rows, sum: built.sink.sum, expected: expected.sum, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`,
);
