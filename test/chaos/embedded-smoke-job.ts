// The dataflow of Kafka Streams' own smoke test in this project's terms: what it takes and gives, topic by topic. Tables are read back from the
// topics that they were written to, as there.
import {
  boundedOutOfOrderness,
  count,
  float64,
  int53,
  job,
  json,
  kafkaSink,
  kafkaSource,
  max,
  min,
  schema,
  sliding,
  string,
  sum,
  timestamp,
  tumbling,
} from "millrace";

const Data = schema({ key: string(), value: int53(), at: timestamp() });
const Value = schema({ key: string(), value: int53() });
const Mean = schema({ key: string(), value: float64() });
const Windowed = schema({ key: string(), windowStart: timestamp(), windowEnd: timestamp(), value: int53() });

/** The key whose rows only move event time on, past the end of every window. */
const flushKey = "flush";

export default job("smoke", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const prefix = flow.parameter("prefix");
  const topic = (name: string): string => `${prefix}-${name}`;
  const append = (name: string) =>
    kafkaSink({
      bootstrapServers,
      topic: topic(name),
      format: json(Windowed),
      key: ({ key, windowStart }) => `${key}@${windowStart}`,
    });
  const upsert = (name: string, key = "key") =>
    kafkaSink({ bootstrapServers, topic: topic(name), format: json(), key, mode: "upsert" as const });
  const tableOf = (name: string) =>
    flow
      .source(`${name}-topic`, kafkaSource({ bootstrapServers, topic: topic(name), format: json(Value) }))
      .keyBy("key")
      .toTable({ uid: `${name}-store` });

  const data = flow.source("data", kafkaSource({ bootstrapServers, topic: topic("data"), format: json(Data) }), {
    time: "at",
    watermarks: boundedOutOfOrderness("30 s"),
  });
  data
    .filter((row) => row.key !== flushKey, { uid: "without-flush" })
    .to("echo", kafkaSink({ bootstrapServers, topic: topic("echo"), format: json(Data), key: "key" }));

  // Each change at once, and the final result alone when the window closes.
  const everyRow = { trigger: { kind: "early", everyRows: 1 }, firing: "upsert" } as const;
  const byKey = data.keyBy("key");
  byKey
    .window(tumbling("1 d"))
    .aggregate({ value: min("value") }, { uid: "min-closed" })
    .filter((row) => row.key !== flushKey, { uid: "min-closed-without-flush" })
    .to("min-suppressed", append("min-suppressed"));
  const seconds = sliding("2 s", "1 s");
  byKey
    .window(seconds)
    .aggregate({ value: sum("value") }, { uid: "sws-closed" })
    .filter((row) => row.key !== flushKey, { uid: "sws-closed-without-flush" })
    .to("sws-suppressed", append("sws-suppressed"));
  const calls = { min: min("value"), max: max("value"), sum: sum("value"), cnt: count() };
  for (const [name, value] of Object.entries(calls))
    byKey
      .window(tumbling("2 d"))
      .aggregate({ value }, { uid: `win-${name}`, ...everyRow })
      .select("key", "value")
      .filter((row) => row.key !== flushKey, { uid: `${name}-without-flush` })
      .to(name, upsert(name));

  const unique = { leftUnique: ["key"], rightUnique: ["key"] } as const;
  const cnt = tableOf("cnt");
  tableOf("max")
    .keyBy("key")
    .join(tableOf("min").keyBy("key"), { uid: "dif-join", ...unique, rightPrefix: "min_" })
    .map(Value, (row) => ({ key: row.key, value: row.value - row.min_value }), { uid: "difference" })
    .to("dif", upsert("dif"));
  tableOf("sum")
    .keyBy("key")
    .join(cnt.keyBy("key"), { uid: "avg-join", ...unique, rightPrefix: "cnt_" })
    .map(Mean, (row) => ({ key: row.key, value: row.value / row.cnt_value }), { uid: "mean" })
    .to("avg", upsert("avg"));
  // How many keys have each count: a table regrouped, so that every change takes a key from one group and gives it to another.
  cnt
    .keyBy("value")
    .aggregate({ keys: count() }, { uid: "cnt-by-cnt" })
    .map(Value, (row) => ({ key: String(row.value), value: row.keys }), { uid: "tagged" })
    .to("tagg", upsert("tagg"));
});
