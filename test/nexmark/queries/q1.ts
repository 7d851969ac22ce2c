// Query 1, currency conversion: the price of every bid in euros, exactly.
import { Decimal, decimal, int53, schema, string, timestamp } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

const EuroBid = schema({ auction: int53(), bidder: int53(), price: decimal(23, 3), dateTime: timestamp(), extra: string() });

/** Dollars to euros: 0.908. */
export const euros = (price: number): Decimal => new Decimal(BigInt(price) * 908n, 3);

export const q1: NexmarkQuery = {
  number: 1,
  title: "Currency conversion",
  result: "append",
  fields: ["auction", "bidder", "price", "dateTime", "extra"],
  describe: ({ bids }, out) =>
    bids
      .map(EuroBid, ({ auction, bidder, price, dateTime, extra }) => ({ auction, bidder, price: euros(price), dateTime, extra }))
      .to("out", out),
};
