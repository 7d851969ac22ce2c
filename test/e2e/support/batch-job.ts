// A MicroBatchJob of the cluster tests: the visits query from a ConfigMap.
import type { MicroBatchJobSpec, MicroBatchJobStatus } from "../../../runtime/src/api/index.ts";
import { TestResource } from "./resource.ts";
import { credentials, type PodServers, s3Of } from "./servers.ts";
import type { Topics } from "./visits.ts";

export class TestBatchJob extends TestResource<MicroBatchJobSpec, MicroBatchJobStatus> {
  readonly #servers: PodServers;
  readonly #topics: Topics;

  constructor(namespace: string, servers: PodServers, topics: Topics) {
    super("MicroBatchJob", namespace, "visits");
    this.#servers = servers;
    this.#topics = topics;
  }

  async apply(version: string, more: Partial<MicroBatchJobSpec>): Promise<void> {
    const { s3, brokers } = this.#servers;
    const spec: MicroBatchJobSpec = {
      job: { module: "visits.ts", configMap: "visits-batches", parameters: { brokers: brokers.join(","), ...this.#topics, version } },
      checkpoints: { storage: `s3://${s3.bucket}/${this.namespace}/visits`, s3: s3Of(this.#servers) },
      podTemplate: { spec: { containers: [{ name: "millrace", envFrom: [{ secretRef: { name: "s3" } }] }] } },
      driver: { resources: { cpu: "50m", memory: "768Mi" } },
      ...more,
    };
    await this.applySpec(spec, [credentials(this.#servers, this.namespace)]);
  }
}
