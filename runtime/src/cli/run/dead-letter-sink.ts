// The sink that a configuration names for dead letters.
import type { Sink } from "../../core/ports/sink.ts";
import type { RunConfig } from "./run-config.ts";

/** Undefined when dead letters go to the log. */
export async function openDeadLetterSink(config: RunConfig["deadLetters"]): Promise<Sink | undefined> {
  if (config === undefined) return undefined;
  const { json } = await import("../../serde/json/json.ts");
  if ("kafka" in config) {
    const { kafkaSink } = await import("../../connectors/kafka/index.ts");
    return kafkaSink({ bootstrapServers: config.kafka.brokers, topic: config.kafka.topic, format: json(), delivery: "exactly-once" });
  }
  const { filesSink } = await import("../../connectors/files/index.ts");
  return filesSink({ path: config.files.path, format: json() });
}
