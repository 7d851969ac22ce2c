// Query 2, selection: bids for every 123rd auction.
import type { NexmarkQuery } from "./tables.ts";

export const q2: NexmarkQuery = {
  number: 2,
  title: "Selection",
  result: "append",
  fields: ["auction", "price"],
  describe: ({ bids }, out) =>
    bids
      .filter((bid) => bid.auction % 123 === 0)
      .select("auction", "price")
      .to("out", out),
};
