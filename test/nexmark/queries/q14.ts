// Query 14, calculation: bids within a range of prices, with the time of day and a count of letters by a function of the user's own.
import { decimal, enumeration, int53, schema, string, timestamp } from "../../../runtime/src/index.ts";
import { euros } from "./q1.ts";
import type { NexmarkQuery } from "./tables.ts";

const CalculatedBid = schema({
  auction: int53(),
  bidder: int53(),
  price: decimal(23, 3),
  bidTimeType: enumeration("dayTime", "nightTime", "otherTime"),
  dateTime: timestamp(),
  extra: string(),
  cCount: int53(),
});

function timeOfDay(dateTime: number): "dayTime" | "nightTime" | "otherTime" {
  const hour = new Date(dateTime).getUTCHours();
  if (hour >= 8 && hour <= 18) return "dayTime";
  return hour <= 6 || hour >= 20 ? "nightTime" : "otherTime";
}

function countOf(letter: string, text: string): number {
  let count = 0;
  for (const other of text) if (other === letter) count++;
  return count;
}

export const q14: NexmarkQuery = {
  number: 14,
  title: "Calculation",
  result: "append",
  fields: ["auction", "bidder", "price", "bidTimeType", "dateTime", "extra", "cCount"],
  describe({ bids }, out) {
    bids
      // In thousandths, so that the comparison is exact.
      .filter((bid) => bid.price * 908 > 1_000_000_000 && bid.price * 908 < 50_000_000_000)
      .map(CalculatedBid, ({ auction, bidder, price, dateTime, extra }) => ({
        auction,
        bidder,
        price: euros(price),
        bidTimeType: timeOfDay(dateTime),
        dateTime,
        extra,
        cCount: countOf("c", extra),
      }))
      .to("out", out);
  },
};
