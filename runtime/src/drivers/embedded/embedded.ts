// The entry of the embedded shape: a job inside of the user's own service.
import type { Job } from "../../dsl/job.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";

/**
 * A job as part of this process. Kafka's consumer group spreads its tasks over all processes that run it. Throws OPTION_UNKNOWN and
 * OPTION_INVALID, and EMBEDDED_SOURCE, EMBEDDED_SINK, EMBEDDED_CLUSTER or EMBEDDED_TOPIC_TWICE for a job that cannot run so.
 */
export function embedded(job: Job, config: EmbeddedConfig = {}): EmbeddedApp {
  return new EmbeddedApp(job, config, {});
}
