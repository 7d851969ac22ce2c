// Query 18, find last bid: the last bid of each bidder for each auction.
import type { NexmarkQuery } from "./tables.ts";

export const q18: NexmarkQuery = {
  number: 18,
  title: "Find last bid",
  result: "updates",
  fields: ["auction", "bidder", "price", "channel", "url", "dateTime", "extra"],
  describe: ({ bids }, out) => bids.keyBy("bidder", "auction").dedupe({ keep: "last", by: "time", uid: "last-bids" }).to("out", out),
};
