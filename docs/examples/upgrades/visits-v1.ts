// Version 1: visits per visitor, counted in a state of one field.
import { consoleSink, files, int32, job, json, schema, state, string, timestamp } from "millrace";

const Visit = schema({ visitor: string(), page: string(), at: timestamp() });
const Visits = schema({ visitor: string(), visits: int32() });

// #region state
const Seen = schema({ visits: int32() });
// #endregion

export default job("visits", (flow) => {
  flow
    .source("visits", files({ path: flow.parameter("input"), format: json(Visit) }), { time: "at" })
    .keyBy("visitor")
    .process(
      {
        onRow(visit, context) {
          const { seen } = context.state;
          const visits = (seen.get()?.visits ?? 0) + 1;
          seen.set({ visits });
          context.emit({ visitor: visit.visitor, visits });
        },
      },
      { uid: "count", output: Visits, state: { seen: state.value(Seen) } },
    )
    .to("terminal", consoleSink({ format: "ndjson" }));
});
