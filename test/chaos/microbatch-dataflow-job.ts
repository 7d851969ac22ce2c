// The job of the dataflow API of the micro-batch chaos test: windows per key over a Kafka topic, into another topic or into Parquet files.
import {
  boundedOutOfOrderness,
  count,
  filesSink,
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

const Reading = schema({ key: string(), value: int53(), at: timestamp() });
const Result = schema({
  key: string(),
  windowStart: timestamp(),
  windowEnd: timestamp(),
  n: int53(),
  least: int53(),
  greatest: int53(),
  total: int53(),
});

export default job("microbatch-chaos-dataflow", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const output = flow.parameter("output");
  const source = kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Reading) });
  const sink = output.startsWith("s3://")
    ? filesSink({ path: output, format: "parquet", s3: { endpoint: flow.parameter("endpoint") } })
    : kafkaSink({ bootstrapServers, topic: output, format: json(Result), key: "key", delivery: "exactly-once" });
  flow
    .source("readings", source, { time: "at", watermarks: boundedOutOfOrderness("2 s") })
    .keyBy("key")
    .window(tumbling("10 s"))
    .aggregate({ n: count(), least: min("value"), greatest: max("value"), total: sum("value") }, { uid: "windows" })
    .to("results", sink);
});
