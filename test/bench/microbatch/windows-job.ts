// q12e as a DataFrame query: count and greatest price per bidder in windows of 10 s of event time, JSON from Kafka to Kafka.
import { json, kafkaSink, kafkaSource } from "millrace";
import { count, frames, max, window } from "millrace/dataframe";
import { Bid } from "../kafka/jobs/bid.ts";

export default frames("bench-windows", ({ session, parameter }) => {
  const bootstrapServers = parameter("brokers");
  return session
    .readStream(kafkaSource({ bootstrapServers, topic: parameter("in"), format: json(Bid), isolation: "read_uncommitted" }), {
      name: "bids",
      maxRecordsPerTrigger: 1_000_000,
    })
    .withWatermark("dateTime", "4 s")
    .groupBy((c) => ({ w: window(c.dateTime, "10 s"), bidder: c.bidder }))
    .agg((c) => ({ count: count(), maxPrice: max(c.price) }), { name: "windows" })
    .select((c) => ({ bidder: c.bidder, start: c.w_start, end: c.w_end, count: c.count, maxPrice: c.maxPrice }))
    .writeStream(kafkaSink({ bootstrapServers, topic: parameter("out"), format: json(), delivery: "at-least-once" }), {
      trigger: { availableNow: true },
    });
});
