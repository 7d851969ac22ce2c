// How much each bidder bid in every ten seconds of event time, from one Kafka topic into another, exactly once.
import { boundedOutOfOrderness, count, int53, job, json, kafkaSink, kafkaSource, max, schema, string, timestamp, tumbling } from "millrace";

const Bid = schema({ bidder: string(), auction: int53(), price: int53(), at: timestamp() });

export default job("hot-bidders", (flow) => {
  const bootstrapServers = flow.parameter("brokers", "localhost:9092");
  flow
    .source("bids", kafkaSource({ bootstrapServers, topic: "bids", format: json(Bid) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("4 s"),
    })
    .keyBy("bidder")
    .window(tumbling("10 s"))
    .aggregate({ bids: count(), highest: max("price") }, { uid: "per-bidder" })
    .to("results", kafkaSink({ bootstrapServers, topic: "hot-bidders", format: json(), delivery: "exactly-once" }));
});
