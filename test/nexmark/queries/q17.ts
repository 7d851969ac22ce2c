// Query 17, auction statistics report: what was bid for each auction on each day, kept up to date with every bid.
import { avg, count, int53, max, min, string, sum } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q17: NexmarkQuery = {
  number: 17,
  title: "Auction statistics report",
  result: "updates",
  fields: ["auction", "day", "totalBids", "rank1Bids", "rank2Bids", "rank3Bids", "minPrice", "maxPrice", "avgPrice", "sumPrice"],
  describe({ bids }, out) {
    bids
      .withFields({ day: string(), rank1: int53(), rank2: int53(), rank3: int53() }, ({ dateTime, price }) => ({
        day: new Date(dateTime).toISOString().slice(0, 10),
        rank1: price < 10_000 ? 1 : 0,
        rank2: price >= 10_000 && price < 1_000_000 ? 1 : 0,
        rank3: price >= 1_000_000 ? 1 : 0,
      }))
      .keyBy("auction", "day")
      .aggregate(
        {
          totalBids: count(),
          rank1Bids: sum("rank1"),
          rank2Bids: sum("rank2"),
          rank3Bids: sum("rank3"),
          minPrice: min("price"),
          maxPrice: max("price"),
          avgPrice: avg("price"),
          sumPrice: sum("price"),
        },
        { uid: "statistics" },
      )
      .to("out", out);
  },
};
