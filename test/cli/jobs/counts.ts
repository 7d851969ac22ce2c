// The job of the tests of the command: counts and sums per key and window, from files to files. Its parameters change what a test needs changed.
import { boundedOutOfOrderness, count, files, filesSink, int53, job, json, schema, string, sum, timestamp, tumbling } from "millrace";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });

export default job("counts", (flow) => {
  const rate = Number(flow.parameter("rate", "0"));
  flow
    .source(
      "readings",
      files({
        path: flow.parameter("input"),
        format: json(Reading),
        bounded: flow.parameter("bounded", "true") === "true",
        ...(rate > 0 ? { recordsPerSecond: rate } : {}),
      }),
      { time: "at", watermarks: boundedOutOfOrderness("1 s") },
    )
    .keyBy("key")
    .window(tumbling("10 s"))
    .aggregate({ n: count(), total: sum("value") }, { uid: flow.parameter("uid", "windows") })
    .to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
