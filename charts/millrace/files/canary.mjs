// The job of `helm test`: generated events, filtered and thrown away.
import { blackhole, job, nexmark } from "millrace";

export default job("canary", (flow) => {
  flow
    .source("bids", nexmark({ table: "bid", eventsPerSecond: 100 }))
    .filter((bid) => bid.price > 1000, { uid: "dear" })
    .to("nowhere", blackhole());
});
