// Query 8, monitor new users: persons who came and opened an auction within the same 10 s.
import { count, tumbling } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q8: NexmarkQuery = {
  number: 8,
  title: "Monitor new users",
  result: "append",
  fields: ["id", "name", "startTime"],
  describe({ persons, auctions }, out) {
    const newcomers = persons
      .keyBy("id", "name")
      .window(tumbling("10 s"))
      .aggregate({ times: count() }, { uid: "newcomers" })
      .select("id", "name", "windowStart")
      .rename({ startTime: "windowStart" });
    const sellers = auctions.keyBy("seller").window(tumbling("10 s")).aggregate({ auctions: count() }, { uid: "sellers" }).select("seller");
    newcomers
      .keyBy("id")
      .joinWindow(sellers.keyBy("seller"), tumbling("10 s"), { uid: "selling-newcomers" })
      .select("id", "name", "startTime")
      .to("out", out);
  },
};
