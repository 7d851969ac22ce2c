// A job with a misspelt option of a connector.
import { files, filesSink, int53, job, json, schema, string } from "millrace";

const misspelt = { recordsPerSecnd: 10 };

export default job("unknown-option", (flow) => {
  flow
    .source("readings", files({ path: flow.parameter("input"), format: json(schema({ key: string(), value: int53() })), ...misspelt }))
    .to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
