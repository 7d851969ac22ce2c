// The usual connectors: Kafka to Kafka exactly once, Parquet files by day, and generated events.
import {
  blackhole,
  boundedOutOfOrderness,
  files,
  filesSink,
  float64,
  job,
  json,
  kafkaSink,
  kafkaSource,
  nexmark,
  schema,
  string,
  timestamp,
} from "millrace";

const Trade = schema({ symbol: string(), price: float64(), at: timestamp() });

export default job("usual", (flow) => {
  const bootstrapServers = flow.parameter("brokers");

  // #region kafka
  const trades = flow.source(
    "trades",
    kafkaSource({ bootstrapServers, topic: "trades", format: json(Trade), startFrom: "earliest", groupId: "dashboards" }),
    { time: "at", watermarks: boundedOutOfOrderness("2 s", { idleAfter: "30 s" }) },
  );
  trades
    .filter((trade) => trade.price >= 100)
    .to("dear", kafkaSink({ bootstrapServers, topic: "dear-trades", key: "symbol", format: json(Trade), delivery: "exactly-once" }));
  // #endregion

  // #region files
  const history = flow.source("history", files({ path: "history/*.parquet", format: "parquet", schema: Trade }), { time: "at" });
  trades
    .union(history)
    .to("archive", filesSink({ path: "archive", format: "parquet", partition: "day={at:yyyy-MM-dd}", maxFileAge: "10 min" }));
  // #endregion

  // #region nexmark
  flow.source("bids", nexmark({ table: "bid", events: 10_000, eventsPerSecond: 1000 })).to("nowhere", blackhole());
  // #endregion
});
