// Query 0, pass-through: every bid. What reading and writing alone cost.
import type { NexmarkQuery } from "./tables.ts";

export const q0: NexmarkQuery = {
  number: 0,
  title: "Pass-through",
  result: "append",
  fields: ["auction", "bidder", "price", "dateTime", "extra"],
  describe: ({ bids }, out) => bids.select("auction", "bidder", "price", "dateTime", "extra").to("out", out),
};
