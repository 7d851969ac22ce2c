// The job of the backpressure program: a generator that could give very much, and a vertex that takes little, behind an exchange.
import { blackhole, job, nexmark } from "millrace";

export default job("slow-sink", (flow) => {
  flow
    .source("events", nexmark({ splits: 3, eventsPerSecond: Number(flow.parameter("sourceRate")) }))
    .rateLimit(Number(flow.parameter("sinkRate")), { uid: "slow", parallelism: 1 })
    .to("sink", blackhole());
});
