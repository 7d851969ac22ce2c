// The job of `helm test`: generated events, counted in windows, thrown away.
import { blackhole, boundedOutOfOrderness, count, job, nexmark, tumbling } from "millrace";

export default job("canary", (flow) => {
  flow
    .source("bids", nexmark({ table: "bid", eventsPerSecond: 100 }), { time: "dateTime", watermarks: boundedOutOfOrderness("1 s") })
    .keyBy("bidder")
    .window(tumbling("1 s"))
    .aggregate({ bids: count() }, { uid: "per-bidder" })
    .to("nowhere", blackhole());
});
