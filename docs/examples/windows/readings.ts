// Temperatures in windows of several kinds: tumbling with late rows, sessions, early results, and one group of all sensors.
import {
  avg,
  boundedOutOfOrderness,
  consoleSink,
  count,
  type Flow,
  float64,
  job,
  json,
  kafkaSource,
  max,
  schema,
  session,
  sliding,
  string,
  timestamp,
  tumbling,
} from "millrace";

// #region source
const Reading = schema({ sensor: string(), celsius: float64(), at: timestamp() });

const readingsOf = (flow: Flow) =>
  flow.source("readings", kafkaSource({ bootstrapServers: flow.parameter("brokers"), topic: "readings", format: json(Reading) }), {
    time: "at",
    watermarks: boundedOutOfOrderness("10 s", { idleAfter: "30 s" }),
  });
// #endregion

export default job("readings", (flow) => {
  const readings = readingsOf(flow);
  const bySensor = readings.keyBy("sensor");

  // #region tumbling
  const minutes = bySensor
    .window(tumbling("1 min"))
    .aggregate({ readings: count(), mean: avg("celsius") }, { uid: "minutes", allowedLateness: "30 s" });
  minutes.to("minutes-out", consoleSink({ label: "minute" }));
  minutes.side("late").to("late-out", consoleSink({ label: "late" }));
  // #endregion

  // #region session
  bySensor
    .window(session("2 min"))
    .aggregate({ readings: count(), highest: max("celsius") }, { uid: "sessions" })
    .to("sessions-out", consoleSink({ label: "session" }));
  // #endregion

  // #region function
  const Spread = schema({ sensor: string(), windowStart: timestamp(), spread: float64() });
  bySensor
    .window(tumbling("1 min"))
    .process(
      ({ key, startMs }, rows, emit) => {
        const celsius = [...rows].map((row) => row.celsius);
        emit({ sensor: key.sensor, windowStart: startMs, spread: Math.max(...celsius) - Math.min(...celsius) });
      },
      { uid: "spreads", output: Spread },
    )
    .to("spreads-out", consoleSink({ label: "spread" }));
  // #endregion

  // #region early
  bySensor
    .window(tumbling("1 h"))
    .aggregate({ readings: count() }, { uid: "hours", trigger: { kind: "early", everyRows: 2 } })
    .to("hours-out", consoleSink({ label: "hour" }));
  // #endregion

  // #region all
  readings
    .window(sliding("2 min", "1 min"))
    .aggregate({ highest: max("celsius") }, { uid: "all-sensors" })
    .to("all-out", consoleSink({ label: "all" }));
  // #endregion
});
