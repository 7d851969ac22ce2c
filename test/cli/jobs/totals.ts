// A job whose state changes its type with the parameter `total`: a number, or a text that no number widens to.
import { files, filesSink, int53, job, json, schema, state, string, timestamp } from "millrace";

const Reading = schema({ key: string(), value: int53(), at: timestamp() });
const Total = schema({ key: string(), total: string() });
const asNumber = schema({ total: int53() });
const asText = schema({ total: string() });

export default job("totals", (flow) => {
  const keyed = flow
    .source("readings", files({ path: flow.parameter("input"), format: json(Reading), bounded: false }), { time: "at" })
    .keyBy("key");
  const totals =
    flow.parameter("total", "number") === "number"
      ? keyed.process(
          {
            onRow(reading, context) {
              const total = (context.state.sum.get()?.total ?? 0) + reading.value;
              context.state.sum.set({ total });
              context.emit({ key: reading.key, total: String(total) });
            },
          },
          { uid: "add", output: Total, state: { sum: state.value(asNumber) } },
        )
      : keyed.process(
          {
            onRow(reading, context) {
              const total = String(Number(context.state.sum.get()?.total ?? "0") + reading.value);
              context.state.sum.set({ total });
              context.emit({ key: reading.key, total });
            },
          },
          { uid: "add", output: Total, state: { sum: state.value(asText) } },
        );
  totals.to("results", filesSink({ path: flow.parameter("output"), format: json() }));
});
