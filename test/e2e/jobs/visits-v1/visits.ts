// Version 1 of the job of the cluster tests: every visit with its number in the visitor's life, from Kafka to Kafka, exactly once.
import { int32, job, json, kafkaSink, kafkaSource, schema, state, string } from "millrace";

const Visit = schema({ visitor: string(), page: string() });
const Numbered = schema({ visitor: string(), number: int32(), version: int32() });
const Seen = schema({ visits: int32() });

export default job("visits", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  flow
    .source("visits", kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Visit) }))
    .keyBy("visitor")
    .process(
      {
        onRow({ visitor }, context) {
          const { seen } = context.state;
          const visits = (seen.get()?.visits ?? 0) + 1;
          seen.set({ visits });
          context.emit({ visitor, number: visits, version: 1 });
        },
      },
      { uid: "number", output: Numbered, state: { seen: state.value(Seen) } },
    )
    .to("numbered", kafkaSink({ bootstrapServers, topic: flow.parameter("output"), format: json(), delivery: "exactly-once" }));
});
