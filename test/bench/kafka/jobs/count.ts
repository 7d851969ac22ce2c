// count: running count per auction; a sink keeps the last count of each and writes them into a file at its end, 32 bits per auction.
import { writeFileSync } from "node:fs";
import { count, job } from "millrace";
import type { Sink } from "millrace/connector";
import { bids } from "./bid.ts";

const auctions = 2_000_000;

function lastCountsTo(file: string): Sink {
  return {
    connector: "last-counts",
    options: {},
    accepts: "upsert",
    delivery: "at-least-once",
    openWriter: async (_context, schemaOf) => {
      const [auctionIndex, countIndex] = [schemaOf.field("auction").index, schemaOf.field("n").index];
      const counts = new Int32Array(auctions);
      return {
        write({ rows, selection, count: selected }) {
          const keys = rows.column(auctionIndex).numbers;
          const { numbers } = rows.column(countIndex);
          for (let k = 0; k < selected; k++) {
            const row = selection[k] as number;
            counts[keys[row] as number] = numbers[row] as number;
          }
        },
        ready: () => undefined,
        flush: () => Promise.resolve(),
        prepare: () => Promise.resolve(new Uint8Array(0)),
        commit: () => Promise.resolve(),
        close: async () => writeFileSync(file, counts),
      };
    },
  };
}

export default job("bench-count", (flow) => {
  bids(flow)
    .keyBy("auction")
    .aggregate({ n: count() }, { uid: "per-auction", upsert: true })
    .to("last-counts", lastCountsTo(flow.parameter("counts")));
});
