// An EmbeddedStreamApp of the cluster tests: the visits service from a ConfigMap, in the runtime's image.
import type { EmbeddedStreamAppSpec, EmbeddedStreamAppStatus } from "../../../runtime/src/api/index.ts";
import { TestResource } from "./resource.ts";
import { credentials, type PodServers, s3Of } from "./servers.ts";
import type { Topics } from "./visits.ts";

const configMap = "visits-app";

export class TestApp extends TestResource<EmbeddedStreamAppSpec, EmbeddedStreamAppStatus> {
  readonly #servers: PodServers;
  readonly #topics: Topics;

  constructor(namespace: string, servers: PodServers, topics: Topics) {
    super("EmbeddedStreamApp", namespace, "visits");
    this.#servers = servers;
    this.#topics = topics;
  }

  async apply(version: { readonly version: string; readonly pauseMs: number }, more: Partial<EmbeddedStreamAppSpec>): Promise<void> {
    const { brokers } = this.#servers;
    const { endpoint } = s3Of(this.#servers);
    const spec: EmbeddedStreamAppSpec = {
      applicationId: this.namespace,
      image: "millrace.dev/runtime:dev",
      command: ["node", "/app/job/visits.ts"],
      kafka: { brokers },
      topics: [this.#topics.input],
      parameters: { brokers: brokers.join(","), ...this.#topics, version: version.version, pauseMs: String(version.pauseMs) },
      resources: { cpu: "50m", memory: "512Mi" },
      podTemplate: {
        spec: {
          containers: [
            {
              name: "app",
              env: [
                { name: "MILLRACE_SESSION_TIMEOUT_MS", value: "10000" },
                { name: "AWS_ENDPOINT_URL_S3", value: endpoint },
              ],
              envFrom: [{ secretRef: { name: "s3" } }],
              volumeMounts: [{ name: "job", mountPath: "/app/job", readOnly: true }],
            },
          ],
          volumes: [{ name: "job", configMap: { name: configMap } }],
        },
      },
      ...more,
    };
    await this.applySpec(spec, [credentials(this.#servers, this.namespace)]);
  }

  /** The manifest's newest change is brought out, and all pods are caught up. */
  settled(pods: number): Promise<EmbeddedStreamAppStatus> {
    return this.until(
      `runs on ${pods} pods`,
      (status, { metadata }) =>
        status.observedGeneration === metadata.generation &&
        status.upgrade === undefined &&
        status.stableRevision === status.currentRevision &&
        status.wantedReplicas === pods &&
        status.replicas === pods &&
        status.readyReplicas === pods,
    );
  }
}
