// Takes rows and forgets them: for measuring everything before the sink.
import type { Sink, SinkWriter } from "../../core/ports/sink.ts";

/** Drops all rows. Nothing of it is visible, so it counts as exactly-once. */
export function blackhole(): Sink {
  return { connector: "blackhole", options: {}, accepts: "retract", delivery: "exactly-once", openWriter: async () => nothing };
}

const nothing: SinkWriter = {
  write() {},
  ready: () => undefined,
  async flush() {},
  prepare: async () => new Uint8Array(),
  async commit() {},
  async close() {},
};
