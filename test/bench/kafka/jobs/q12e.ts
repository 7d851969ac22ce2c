// q12e: count and greatest price per bidder in tumbling windows of 10 s of event time, JSON to Kafka.
import { count, job, json, kafkaSink, max, tumbling } from "millrace";
import { bids } from "./bid.ts";

export default job("bench-q12e", (flow) => {
  bids(flow)
    .keyBy("bidder")
    .window(tumbling("10 s"))
    .aggregate({ count: count(), maxPrice: max("price") }, { uid: "per-bidder" })
    .rename({ start: "windowStart", end: "windowEnd" })
    .to("out", kafkaSink({ bootstrapServers: flow.parameter("brokers"), topic: flow.parameter("out"), format: json() }));
});
