// Query 5, hot items: the auctions with the most bids in the last 10 s, every 2 s. Windows over the results of windows, and a window join.
import { count, max, sliding, tumbling } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q5: NexmarkQuery = {
  number: 5,
  title: "Hot items",
  result: "append",
  fields: ["auction", "num", "windowStart", "windowEnd"],
  describe({ bids }, out) {
    const counts = bids.keyBy("auction").window(sliding("10 s", "2 s")).aggregate({ num: count() }, { uid: "bids-of-auctions" });
    // A result is timed just before its window's end, and every 2 s one window ends: a window of 2 s holds the results of one.
    const most = counts
      .window(tumbling("2 s"))
      .aggregate({ most: max("num") }, { uid: "most-bids" })
      .select("most");
    counts
      .keyBy("num")
      .joinWindow(most.keyBy("most"), tumbling("2 s"), { uid: "hot" })
      .select("auction", "num", "windowStart", "windowEnd")
      .to("out", out);
  },
};
