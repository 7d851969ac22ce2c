// The job of the slots' tests: readings from files, counted and added up by key and window, into files.
import { files, filesSink } from "../../connectors/files/index.ts";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import { job } from "../../dsl/job.ts";
import { tumbling } from "../../dsl/windows.ts";
import { count, sum } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/json/json.ts";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });

// oxlint-disable-next-line import/no-default-export -- what a job's module exports
export default job("slot-counts", (flow) => {
  flow
    .source("readings", files({ path: flow.parameter("input"), format: json(Reading) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("1 s"),
    })
    .keyBy("key")
    .window(tumbling("10 s"))
    .aggregate({ n: count(), total: sum("value") }, { uid: "per-key" })
    .to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
