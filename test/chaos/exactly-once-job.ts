// The job of the exactly-once test: windows per key over a Kafka topic, into another one.
import { boundedOutOfOrderness, count, int53, job, json, kafka, kafkaSink, max, min, schema, string, sum, timestamp, tumbling } from "millrace";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });

export default job("exactly-once", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const readings = flow.source("readings", kafka({ bootstrapServers, topic: flow.parameter("input"), bounded: true, format: json(Reading) }), {
    time: "at",
    watermarks: boundedOutOfOrderness("2 s"),
  });
  readings
    .rateLimit(Number(flow.parameter("rate", "100000000")))
    .keyBy("key")
    .window(tumbling("10 s"))
    .aggregate({ n: count(), least: min("value"), greatest: max("value"), total: sum("value") }, { uid: "windows" })
    .to("results", kafkaSink({ bootstrapServers, topic: flow.parameter("output"), delivery: "exactly-once", key: ["key"] }));
});
