// The bids that the Kafka benchmarks read, and where they come from.
import { boundedOutOfOrderness, type Flow, int53, json, kafkaSource, schema, string, timestamp } from "millrace";

export const Bid = schema({
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  url: string(),
  dateTime: timestamp(),
  extra: string(),
});

/** Bids of the topic that parameter `in` names; ends at the topic's end unless `unbounded` is set. */
export function bids(flow: Flow) {
  const endpoint = kafkaSource({
    bootstrapServers: flow.parameter("brokers"),
    topic: flow.parameter("in"),
    format: json(Bid),
    isolation: "read_uncommitted",
    bounded: flow.parameter("unbounded", "false") === "false",
    startFrom: flow.parameter("from", "earliest") === "latest" ? "latest" : "earliest",
  });
  return flow.source("bids", endpoint, { time: "dateTime", watermarks: boundedOutOfOrderness("4 s") });
}
