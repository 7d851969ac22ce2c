// q0: parse, project four fields, JSON to Kafka.
import { job, json, kafkaSink } from "millrace";
import { bids } from "./bid.ts";

export default job("bench-q0", (flow) => {
  const exactlyOnce = flow.parameter("delivery", "at-least-once") === "exactly-once";
  bids(flow)
    .select("auction", "bidder", "price", "dateTime")
    .to(
      "out",
      kafkaSink({
        bootstrapServers: flow.parameter("brokers"),
        topic: flow.parameter("out"),
        format: json(),
        delivery: exactlyOnce ? "exactly-once" : "at-least-once",
      }),
    );
});
