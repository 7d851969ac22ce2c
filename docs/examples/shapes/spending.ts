// What each customer spends per ten seconds of event time, and who pays nothing for 30 s: a job for any shape. Its state is found by its uids,
// whichever runs it.
import {
  boundedOutOfOrderness,
  count,
  int53,
  job,
  json,
  kafkaSink,
  kafkaSource,
  schema,
  state,
  string,
  sum,
  timestamp,
  tumbling,
} from "millrace";

const Payment = schema({ customer: string(), cents: int53(), at: timestamp() });
const Quiet = schema({ customer: string(), since: timestamp(), payments: int53() });
const silenceMs = 30_000;

export default job("spending", (flow) => {
  const bootstrapServers = flow.parameter("brokers", "localhost:9092");
  const into = (topic: string) => kafkaSink({ bootstrapServers, topic, format: json(), delivery: "exactly-once" });
  const payments = flow
    .source("payments", kafkaSource({ bootstrapServers, topic: flow.parameter("input", "payments"), format: json(Payment) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("2 s"),
    })
    .keyBy("customer");
  payments
    .window(tumbling("10 s"))
    .aggregate({ payments: count(), cents: sum("cents") }, { uid: "per-customer" })
    .to("totals", into(flow.parameter("output", "totals")));
  payments
    .process(
      {
        onRow({ at }, { state: { last, seen }, timers }) {
          const before = last.get() ?? Number.NEGATIVE_INFINITY;
          seen.set((seen.get() ?? 0) + 1);
          if (at <= before) return;
          if (before !== Number.NEGATIVE_INFINITY) timers.cancelEventTime(before + silenceMs);
          last.set(at);
          timers.onEventTime(at + silenceMs);
        },
        onTimer({ timeMs }, { key, state: { last, seen }, emit }) {
          emit({ customer: key.customer, since: timeMs - silenceMs, payments: seen.get() ?? 0 });
          last.clear();
          seen.clear();
        },
      },
      { uid: "silence", output: Quiet, state: { last: state.value(timestamp()), seen: state.value(int53()) } },
    )
    .to("quiet", into(flow.parameter("quiet", "quiet")));
});
