// The service of the cluster tests: every visit with its number in the visitor's life, at most a few of each partition at a time, so that lag can be made.
import { int32, job, json, kafkaSink, kafkaSource, schema, state, string } from "millrace";
import { embedded, environmentConfig } from "millrace/embedded";

const Visit = schema({ visitor: string(), page: string() });
const Numbered = schema({ visitor: string(), number: int32(), version: int32() });
const Seen = schema({ visits: int32() });

const visits = job("visits", (flow) => {
  const bootstrapServers = flow.parameter("brokers");
  const version = Number(flow.parameter("version"));
  const pauseMs = Number(flow.parameter("pauseMs"));
  if (Number.isNaN(version)) throw new Error("this version is broken");
  flow
    .source("visits", kafkaSource({ bootstrapServers, topic: flow.parameter("input"), format: json(Visit) }))
    // As a service asks others: it waits, and its process does not.
    .asyncMap(
      Visit,
      async (visit) => {
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
        return visit;
      },
      { uid: "ask", capacity: 4 },
    )
    .keyBy("visitor")
    .process(
      {
        onRow({ visitor }, context) {
          const { seen } = context.state;
          const number = (seen.get()?.visits ?? 0) + 1;
          seen.set({ visits: number });
          context.emit({ visitor, number, version });
        },
      },
      { uid: "number", output: Numbered, state: { seen: state.value(Seen) } },
    )
    .to("numbered", kafkaSink({ bootstrapServers, topic: flow.parameter("output"), format: json(), delivery: "exactly-once" }));
});

const app = embedded(visits, environmentConfig());
process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
});
await app.start();
await app.done;
