// A StreamJob of the cluster tests: its manifest, and when it is stable.
import type { StreamJobSpec, StreamJobStatus } from "../../../runtime/src/api/index.ts";
import { TestResource } from "./resource.ts";
import { credentials, type PodServers, s3Of } from "./servers.ts";
import type { Topics } from "./visits.ts";

export class TestJob extends TestResource<StreamJobSpec, StreamJobStatus> {
  readonly #servers: PodServers;
  readonly #topics: Topics;

  constructor(namespace: string, name: string, servers: PodServers, topics: Topics) {
    super("StreamJob", namespace, name);
    this.#servers = servers;
    this.#topics = topics;
  }

  /** Applies the manifest with a job's image or ConfigMap, and what `more` adds to its spec. */
  async apply(from: { readonly image: string } | { readonly configMap: string }, more: Partial<StreamJobSpec> = {}): Promise<void> {
    const { s3, brokers } = this.#servers;
    const spec: StreamJobSpec = {
      ...("image" in from ? from : {}),
      job: { module: "visits.ts", ...("configMap" in from ? from : {}), parameters: { brokers: brokers.join(","), ...this.#topics } },
      parallelism: 2,
      checkpoints: { storage: `s3://${s3.bucket}/${this.namespace}/${this.name}`, interval: "1 s", s3: s3Of(this.#servers) },
      rollback: { stableTimeout: "2 min" },
      podTemplate: { spec: { containers: [{ name: "millrace", envFrom: [{ secretRef: { name: "s3" } }] }] } },
      jobManager: { replicas: 1, resources: { cpu: "50m", memory: "512Mi" } },
      taskManager: { resources: { cpu: "50m", memory: "768Mi" } },
      ...more,
    };
    await this.applySpec(spec, [credentials(this.#servers, this.namespace)]);
  }

  /** The manifest's newest change runs and has completed a checkpoint. */
  stable(timeoutMs?: number): Promise<StreamJobStatus> {
    return this.until(
      "is stable",
      (status, { metadata }) =>
        status.observedGeneration === metadata.generation &&
        status.upgrade === undefined &&
        status.currentRevision !== undefined &&
        status.currentRevision === status.stableRevision,
      timeoutMs,
    );
  }
}
