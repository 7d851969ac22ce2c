// Query 12, processing time windows: how many bids of each user were processed in every 10 s of the clock.
import { count, tumbling } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

export const q12: NexmarkQuery = {
  number: 12,
  title: "Processing time windows",
  result: "append",
  fields: ["bidder", "bids", "startTime", "endTime"],
  describe({ bids }, out) {
    bids
      .keyBy("bidder")
      .window(tumbling("10 s"))
      .aggregate({ bids: count() }, { time: "processing", uid: "counts" })
      .rename({ startTime: "windowStart", endTime: "windowEnd" })
      .to("out", out);
  },
};
