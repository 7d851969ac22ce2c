// The job of the cluster's chaos programs: windows per key over a Kafka topic, into another one, and sessions into a third.
import { randomBytes } from "node:crypto";
import {
  blackhole,
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
  session,
  state,
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

export default job("cluster-chaos", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const sink = (topic: string): ReturnType<typeof kafkaSink> =>
    kafkaSink({ bootstrapServers, topic, format: json(Result), key: "key", delivery: "exactly-once" });
  const keyed = flow
    .source("readings", kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Reading) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("1 s"),
    })
    .keyBy("key");
  const figures = { n: count(), least: min("value"), greatest: max("value"), total: sum("value") };
  keyed
    .window(tumbling(`${flow.parameter("windowMs", "1000")} ms`))
    .aggregate(figures, { uid: "windows" })
    .to("results", sink(flow.parameter("output")));
  // State that is there and does not change: what a restart has to read.
  const bytesPerKey = Math.floor(Number(flow.parameter("ballastBytes", "0")) / Number(flow.parameter("keys", "200")));
  if (bytesPerKey > 0) {
    keyed
      .process(
        {
          onRow(_row, { state: { filler } }) {
            if (filler.get() === undefined) filler.set(randomBytes(bytesPerKey / 2).toString("hex"));
          },
        },
        { uid: "ballast", output: Reading, state: { filler: state.value(string()) } },
      )
      .to("nothing", blackhole());
  }
  keyed
    .window(session("700 ms"))
    .aggregate(figures, { uid: "sessions" })
    .to("session-results", sink(flow.parameter("sessions")));
});
