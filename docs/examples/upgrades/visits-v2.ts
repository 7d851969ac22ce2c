// Version 2: the count has a new name and a wider type, and the last page is remembered too.
import { consoleSink, files, int53, job, json, schema, state, string, timestamp } from "millrace";

const Visit = schema({ visitor: string(), page: string(), at: timestamp() });
const Visits = schema({ visitor: string(), visits: int53(), from: string() });

// #region state
const Seen = schema({
  total: int53().alias("visits"), // renamed, and widened from int32
  lastPage: string().default("(unknown)"), // new
});
// #endregion

export default job("visits", (flow) => {
  flow
    .source("visits", files({ path: flow.parameter("input"), format: json(Visit) }), { time: "at" })
    .keyBy("visitor")
    .process(
      {
        onRow(visit, context) {
          const { seen } = context.state;
          const before = seen.get() ?? { total: 0, lastPage: "(none)" };
          seen.set({ total: before.total + 1, lastPage: visit.page });
          context.emit({ visitor: visit.visitor, visits: before.total + 1, from: before.lastPage });
        },
      },
      { uid: "count", output: Visits, state: { seen: state.value(Seen) } },
    )
    .to("terminal", consoleSink({ format: "ndjson" }));
});
