// Query 11, user sessions: how many bids a user made in each session, which ends after 10 s without one.
import { count, session } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q11: NexmarkQuery = {
  number: 11,
  title: "User sessions",
  result: "append",
  fields: ["bidder", "bids", "startTime", "endTime"],
  describe({ bids }, out) {
    bids
      .keyBy("bidder")
      .window(session("10 s"))
      .aggregate({ bids: count() }, { uid: "sessions" })
      .rename({ startTime: "windowStart", endTime: "windowEnd" })
      .to("out", out);
  },
};
