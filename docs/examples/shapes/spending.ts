// What each customer spends per ten seconds of event time: a job for any shape. Its state is found by its uids, whichever runs it.
import { boundedOutOfOrderness, count, int53, job, json, kafkaSink, kafkaSource, schema, string, sum, timestamp, tumbling } from "millrace";

const Payment = schema({ customer: string(), cents: int53(), at: timestamp() });

export default job("spending", (flow) => {
  const bootstrapServers = flow.parameter("brokers", "localhost:9092");
  flow
    .source("payments", kafkaSource({ bootstrapServers, topic: flow.parameter("input", "payments"), format: json(Payment) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("2 s"),
    })
    .keyBy("customer")
    .window(tumbling("10 s"))
    .aggregate({ payments: count(), cents: sum("cents") }, { uid: "per-customer" })
    .to("totals", kafkaSink({ bootstrapServers, topic: flow.parameter("output", "totals"), format: json(), delivery: "exactly-once" }));
});
