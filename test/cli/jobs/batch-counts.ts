// The query of the tests of `millrace up` with batches: counts and sums per key and window, from files to files.
import { files, filesSink, int53, json, schema, string, timestamp } from "millrace";
import { count, frames, sum, window } from "millrace/dataframe";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });

export default frames("batch-counts", ({ session, parameter }) => {
  // A version that is stopped early leaves a file half read: the next file's rows must wait for its rest.
  const input = files({ path: parameter("input"), format: json(Reading), bounded: false, inTimeOrder: true });
  return session
    .readStream(input, { name: "readings" })
    .withWatermark("at", "1 s")
    .groupBy((c) => ({ w: window(c.at, "10 s"), key: c.key }))
    .agg((c) => ({ n: count(), total: sum(c.value) }), { name: "windows" })
    .select((c) => ({ key: c.key, windowStart: c.w_start, n: c.n, total: c.total }))
    .writeStream(filesSink({ path: parameter("output"), format: json() }), { trigger: { processingTime: "1 s" } });
});
