// Version 2: the number's field in the state has another name and a wider type, and the last page is remembered.
import { int32, int53, job, json, kafkaSink, kafkaSource, schema, state, string } from "millrace";

const Visit = schema({ visitor: string(), page: string() });
const Numbered = schema({ visitor: string(), number: int53(), version: int32(), from: string() });
const Seen = schema({ total: int53().alias("visits"), lastPage: string().default("(unknown)") });

export default job("visits", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  flow
    .source("visits", kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Visit) }))
    .keyBy("visitor")
    .process(
      {
        onRow({ visitor, page }, context) {
          const { seen } = context.state;
          const before = seen.get() ?? { total: 0, lastPage: "(none)" };
          seen.set({ total: before.total + 1, lastPage: page });
          context.emit({ visitor, number: before.total + 1, version: 2, from: before.lastPage });
        },
      },
      { uid: "number", output: Numbered, state: { seen: state.value(Seen) } },
    )
    .to("numbered", kafkaSink({ bootstrapServers, topic: flow.parameter("output"), format: json(), delivery: "exactly-once" }));
});
