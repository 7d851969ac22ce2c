// Delays per airport and six hours: over files once, or over the same files as a stream, with one word of difference.
import { files, filesSink, int32, json, schema, string, timestamp } from "millrace";
import { avg, count, frames, max, window } from "millrace/dataframe";

const Flight = schema({ scheduled: timestamp(), origin: string(), destination: string(), delay: int32(), distance: int32() });

export default frames("delays", ({ session, parameter }) => {
  const input = files({ path: parameter("input"), format: json(Flight) });
  const output = filesSink({ path: parameter("output"), format: "parquet" });
  const asStream = parameter("as", "batch") === "stream";

  // #region query
  const flights = asStream ? session.readStream(input, { name: "flights" }) : session.read(input, { name: "flights" });
  const delays = flights
    .withWatermark("scheduled", "2 d")
    .filter((c) => c.distance.gt(200))
    .groupBy((c) => ({ w: window(c.scheduled, "6 h"), origin: c.origin }))
    .agg((c) => ({ flights: count(), late: count().filter(c.delay.gt(15)), mean: avg(c.delay), worst: max(c.delay) }), { name: "delays" })
    .select("w_start", "origin", "flights", "late", "mean", "worst");
  // #endregion

  // #region write
  return asStream ? delays.writeStream(output, { trigger: { availableNow: true } }) : delays.write(output);
  // #endregion
});
