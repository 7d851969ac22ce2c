// The query of the micro-batch chaos test: windows per key over a Kafka topic, into another topic or into Parquet files.
import { filesSink, int53, json, kafkaSink, kafkaSource, schema, string, timestamp } from "millrace";
import { count, frames, max, min, sum, window } from "millrace/dataframe";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });
const Result = schema({
  key: string(),
  windowStart: timestamp().nullable(),
  n: int53().nullable(),
  least: int53().nullable(),
  greatest: int53().nullable(),
  total: int53().nullable(),
});

export default frames("microbatch-chaos", ({ session, parameter }) => {
  const bootstrapServers = parameter("brokers");
  const output = parameter("output");
  const readings = session.readStream(kafkaSource({ bootstrapServers, topic: parameter("input"), format: json(Reading) }), {
    name: "readings",
    maxRecordsPerTrigger: Number(parameter("records", "20000")),
    minPartitions: Number(parameter("tasks", "0")),
  });
  const windows = readings
    .withWatermark("at", "4 s")
    .groupBy((c) => ({ w: window(c.at, "10 s"), key: c.key }))
    .agg((c) => ({ n: count(), least: min(c.value), greatest: max(c.value), total: sum(c.value) }), { name: "windows" })
    .select((c) => ({ key: c.key, windowStart: c.w_start, n: c.n, least: c.least, greatest: c.greatest, total: c.total }));
  const sink = output.startsWith("s3://")
    ? filesSink({ path: output, format: "parquet", s3: { endpoint: parameter("endpoint") } })
    : kafkaSink({ bootstrapServers, topic: output, format: json(Result), key: "key", delivery: "exactly-once" });
  const interval = parameter("interval", "");
  return windows.writeStream(sink, { trigger: interval === "" ? { availableNow: true } : { processingTime: interval } });
});
