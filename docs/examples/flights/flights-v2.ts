// Version 2 of flights.ts: one more aggregate, which is one more field in the state of every window.
import {
  avg,
  boundedOutOfOrderness,
  count,
  files,
  filesSink,
  int32,
  job,
  json,
  max,
  schema,
  sliding,
  string,
  sum,
  timestamp,
} from "millrace";

const Flight = schema({ scheduled: timestamp(), origin: string(), destination: string(), delay: int32(), distance: int32() });

export default job("flights", (flow) => {
  const output = flow.parameter("output");
  const rate = Number(flow.parameter("rate", "1000000"));
  const flights = flow.source("flights", files({ path: flow.parameter("input"), format: json(Flight), recordsPerSecond: rate }), {
    time: "scheduled",
    // A flight that leaves more than two hours late is late for its windows too.
    watermarks: boundedOutOfOrderness("2 h", { everyRow: true }),
  });
  const hourly = flights
    .keyBy("origin")
    .window(sliding("1 h", "15 min"))
    .aggregate({ flights: count(), meanDelay: avg("delay"), worstDelay: max("delay"), distance: sum("distance") }, { uid: "hourly" });
  hourly.to("hourly-files", filesSink({ path: `${output}/hourly`, format: json() }));
  hourly.side("late").to("late-files", filesSink({ path: `${output}/late`, format: json() }));
});
