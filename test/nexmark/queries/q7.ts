// Query 7, highest bid: the bids with the highest price of every 10 s. A window over all rows, and a window join.
import { max, tumbling } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q7: NexmarkQuery = {
  number: 7,
  title: "Highest bid",
  result: "append",
  fields: ["auction", "bidder", "price", "dateTime", "extra"],
  describe({ bids }, out) {
    const highest = bids
      .window(tumbling("10 s"))
      .aggregate({ highest: max("price") }, { uid: "highest-prices" })
      .select("highest");
    bids
      .keyBy("price")
      .joinWindow(highest.keyBy("highest"), tumbling("10 s"), { uid: "highest-bids" })
      .select("auction", "bidder", "price", "dateTime", "extra")
      .to("out", out);
  },
};
