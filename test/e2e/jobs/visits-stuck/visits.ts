// A bad version: it starts, but its state is neither that of version 2 nor one that follows it, so that it never completes a checkpoint.
import { int32, job, json, kafkaSink, kafkaSource, schema, state, string } from "millrace";

const Visit = schema({ visitor: string(), page: string() });
const Numbered = schema({ visitor: string(), number: int32(), version: int32() });
const Seen = schema({ count: int32() });

export default job("visits", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  flow
    .source("visits", kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Visit) }))
    .keyBy("visitor")
    .process(
      {
        onRow({ visitor }, context) {
          const { seen } = context.state;
          const visits = (seen.get()?.count ?? 0) + 1;
          seen.set({ count: visits });
          context.emit({ visitor, number: visits, version: 1 });
        },
      },
      { uid: "number", output: Numbered, state: { seen: state.value(Seen) } },
    )
    .to("numbered", kafkaSink({ bootstrapServers, topic: flow.parameter("output"), format: json(), delivery: "exactly-once" }));
});
