// The job of the exactly-once test: windows per key over a Kafka topic, into another one.
import {
  boundedOutOfOrderness,
  count,
  int53,
  job,
  json,
  kafkaSink,
  kafkaSource,
  max,
  min,
  schema,
  string,
  sum,
  timestamp,
  tumbling,
} from "millrace";

const Result = schema({
  key: string(),
  windowStart: timestamp(),
  windowEnd: timestamp(),
  n: int53(),
  least: int53(),
  greatest: int53(),
  total: int53(),
});
const Reading = schema({ key: string(), value: int53(), at: timestamp() });

export default job("exactly-once", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const readings = flow.source(
    "readings",
    kafkaSource({ bootstrapServers, topic: flow.parameter("input"), bounded: true, format: json(Reading) }),
    {
      time: "at",
      watermarks: boundedOutOfOrderness("2 s"),
    },
  );
  readings
    .rateLimit(Number(flow.parameter("rate", "100000000")))
    .keyBy("key")
    .window(tumbling("10 s"))
    .aggregate({ n: count(), least: min("value"), greatest: max("value"), total: sum("value") }, { uid: "windows" })
    .to(
      "results",
      kafkaSink({ bootstrapServers, topic: flow.parameter("output"), format: json(Result), key: "key", delivery: "exactly-once" }),
    );
});
