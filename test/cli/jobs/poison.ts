// A job with a record that its function cannot take.
import { files, filesSink, int53, job, json, schema, string, timestamp } from "millrace";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });

export default job("poison", (flow) => {
  const worst = Number(flow.parameter("worst"));
  flow
    .source("readings", files({ path: flow.parameter("input"), format: json(Reading), recordsPerSecond: 500 }), { time: "at" })
    .filter(
      ({ at }) => {
        if (at === worst) throw new Error("cannot take it");
        return true;
      },
      { uid: "picky" },
    )
    .to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
