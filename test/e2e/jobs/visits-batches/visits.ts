// The query of the cluster tests: every visit with its number in the visitor's life, a batch for each trigger.
import { int32, json, kafkaSink, kafkaSource, schema, state, string } from "millrace";
import { frames } from "millrace/dataframe";

const Visit = schema({ visitor: string(), page: string() });
const Numbered = schema({ visitor: string(), number: int32(), version: int32() });

export default frames("visits", ({ session, parameter }) => {
  const bootstrapServers = parameter("brokers");
  const version = Number(parameter("version"));
  if (Number.isNaN(version)) throw new Error("this version is broken");
  return session
    .readStream(kafkaSource({ bootstrapServers, topic: parameter("input"), format: json(Visit) }), { name: "visits" })
    .groupBy("visitor")
    .transformWithState(
      {
        onRow({ visitor }, context) {
          const { seen } = context.state;
          const number = (seen.get() ?? 0) + 1;
          seen.set(number);
          context.emit({ visitor, number, version });
        },
      },
      { output: Numbered, state: { seen: state.value(int32()) }, name: "number" },
    )
    .writeStream(
      kafkaSink({
        ...{ bootstrapServers, topic: parameter("output"), format: json(), delivery: "exactly-once" },
        // Other jobs of this name are on the same Kafka.
        transactionalIdPrefix: parameter("output"),
      }),
    );
});
