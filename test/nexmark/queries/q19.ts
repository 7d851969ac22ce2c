// Query 19, auction top 10: the ten highest bids of each auction with their places; of equal ones the earlier is first.
import type { NexmarkQuery } from "./tables.ts";

export const q19: NexmarkQuery = {
  number: 19,
  title: "Auction top 10",
  result: "updates",
  fields: ["auction", "bidder", "price", "channel", "url", "dateTime", "extra", "rankNumber"],
  describe({ bids }, out) {
    bids
      .keyBy("auction")
      .topN(10, { orderBy: [{ field: "price", descending: true }, { field: "dateTime" }], rank: "rankNumber", uid: "top-10" })
      .to("out", out);
  },
};
