// Query 4, average price for a category: of the winning bids of its auctions. A join and two aggregates that follow its changes.
import { avg, max } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q4: NexmarkQuery = {
  number: 4,
  title: "Average price for a category",
  result: "updates",
  fields: ["category", "average"],
  describe({ auctions, bids }, out) {
    const offers = auctions.select("id", "category", "dateTime", "expires");
    const offered = bids.select("auction", "price", "dateTime").rename({ bidTime: "dateTime" });
    offers
      .keyBy("id")
      .join(offered.keyBy("auction"), { uid: "bids-of-auctions" })
      .filter((row) => row.bidTime >= row.dateTime && row.bidTime <= row.expires)
      .keyBy("id", "category")
      .aggregate({ final: max("price") }, { uid: "winning-bids" })
      .keyBy("category")
      .aggregate({ average: avg("final") }, { uid: "averages" })
      .to("out", out);
  },
};
