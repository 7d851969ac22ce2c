// The contract of sinks, checked over the sink of one's own.
import { sinkContract, type SinkRow } from "millrace/connector";
import { test } from "vitest";
import { postSink } from "./post-sink.ts";

sinkContract(test, {
  name: "post",
  async open() {
    const received: SinkRow[] = [];
    return {
      sink: () => postSink({ post: async (rows) => void received.push(...(rows as SinkRow[])), maxRows: 10 }),
      visible: async () => received,
      dispose: async () => {},
    };
  },
});
