// The job of the suite exchange: JSON bids in memory, a share per source instance, through a keyed exchange into a sink that checks.
import type { Batch } from "../../../runtime/src/core/batch/batch.ts";
import type { Sink } from "../../../runtime/src/core/ports/sink.ts";
import type { Source } from "../../../runtime/src/core/ports/source.ts";
import { int53, string, timestamp } from "../../../runtime/src/core/schema/field.ts";
import { schema } from "../../../runtime/src/core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../runtime/src/core/time/watermark-strategy.ts";
import { job } from "../../../runtime/src/dsl/job.ts";
import { tumbling } from "../../../runtime/src/dsl/windows.ts";
import { count, max } from "../../../runtime/src/operators/aggregate/call.ts";
import { json } from "../../../runtime/src/serde/json/json.ts";
import { type BidBlock, blockSource, generateBids } from "../bids.ts";

export const exchangeQueries = ["window", "rows"] as const;
export type ExchangeQuery = (typeof exchangeQueries)[number];

const Bid = schema({
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  url: string(),
  dateTime: timestamp(),
  extra: string(),
});
const Price = schema({ price: int53() });
const checked = 1_048_576;

/** Share `index` of `shares` of the input. */
export function share(records: number, shares: number, index: number): BidBlock {
  return generateBids({ count: Math.floor(records / shares), auctions: 10_000, seed: 42 + index });
}

// Each instance makes its own share when it is opened, which is before the clock of the measurement starts.
function shareSource(records: number, shares: number): Source {
  return {
    connector: "shares",
    options: { records, shares },
    bounded: true,
    openEnumerator: async () => ({
      intervalMs: Infinity,
      discover: async (known) =>
        Array.from({ length: shares }, (_, index) => ({ id: `${index}`, position: 0 })).filter(({ id }) => !known.has(id)),
      close: async () => {},
    }),
    openReader: (context) => blockSource(share(records, shares, context.subtask), `${context.subtask}`).openReader(context),
  };
}

/** Adds up what it is given; the sum is what it prepares, so whoever takes the last checkpoint reads it there. */
function checkSink(fields: readonly string[]): Sink {
  return {
    connector: "check",
    options: {},
    accepts: "retract",
    delivery: "exactly-once",
    async openWriter(_context, of) {
      const indexes = fields.map((name) => of.field(name).index);
      let sum = 0;
      return {
        write({ rows, selection, count: selected }: Batch) {
          for (const index of indexes) {
            const { numbers } = rows.column(index);
            for (let k = 0; k < selected; k++) sum += (numbers[selection[k] as number] as number) % checked;
          }
        },
        ready: () => undefined,
        flush: async () => {},
        prepare: async () => Buffer.from(String(sum)),
        commit: async () => {},
        close: async () => {},
      };
    },
  };
}

/** The sum that the sinks of a query must have. */
export function expectedSum(query: ExchangeQuery, blocks: readonly BidBlock[]): number {
  const windows = new Map<string, number>();
  let records = 0;
  let prices = 0;
  for (const { bids } of blocks) {
    records += bids.price.length;
    for (let i = 0; i < bids.price.length; i++) {
      const price = bids.price[i] as number;
      prices += price % checked;
      const id = `${bids.bidder[i]} ${Math.floor((bids.dateTime[i] as number) / 10_000)}`;
      windows.set(id, Math.max(windows.get(id) ?? 0, price));
    }
  }
  return query === "rows" ? prices : records + [...windows.values()].reduce((sum, best) => sum + (best % checked), 0);
}

// oxlint-disable-next-line import/no-default-export -- what a job's module exports
export default job("bench-exchange", (flow) => {
  const records = Number(flow.parameter("records"));
  const shares = Number(flow.parameter("shares"));
  const bids = flow.source(
    "bids",
    { source: shareSource(records, shares), format: json(Bid) },
    { time: "dateTime", watermarks: boundedOutOfOrderness("4 s") },
  );
  if (flow.parameter("query") === "window") {
    bids
      .keyBy("bidder")
      .window(tumbling("10 s"))
      .aggregate({ n: count(), best: max("price") }, { uid: "w" })
      .to("out", checkSink(["n", "best"]));
  } else {
    // A function may read any field, so whole rows are exchanged.
    bids
      .keyBy("bidder")
      .process({ onRow: ({ price }, context) => context.emit({ price }) }, { uid: "p", output: Price })
      .to("out", checkSink(["price"]));
  }
});
