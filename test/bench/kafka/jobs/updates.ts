// updates: count and latest price per bidder in windows of 10 s; every row gives the new result of its window.
import { count, job, json, kafkaSink, last, tumbling } from "millrace";
import { bids } from "./bid.ts";

export default job("bench-updates", (flow) => {
  bids(flow)
    .keyBy("bidder")
    .window(tumbling("10 s"))
    .aggregate({ count: count(), price: last("price") }, { uid: "per-bidder", trigger: { kind: "count", rows: 1 }, firing: "append" })
    .to("out", kafkaSink({ bootstrapServers: flow.parameter("brokers"), topic: flow.parameter("out"), format: json() }));
});
