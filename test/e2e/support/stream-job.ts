// A StreamJob of the cluster tests: its manifest, changes of it, and what its status says.
import { kubectl } from "../../support/cluster.ts";
import { eventually } from "./eventually.ts";
import type { StreamJobSpec, StreamJobStatus } from "../../../runtime/src/api/index.ts";
import type { PodServers } from "./servers.ts";
import type { Topics } from "./visits.ts";

export interface JobObject {
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: StreamJobSpec;
  readonly status?: StreamJobStatus;
}

export class TestJob {
  readonly namespace: string;
  readonly name: string;
  readonly #servers: PodServers;
  readonly #topics: Topics;

  constructor(namespace: string, name: string, servers: PodServers, topics: Topics) {
    this.namespace = namespace;
    this.name = name;
    this.#servers = servers;
    this.#topics = topics;
  }

  /** Applies the manifest with a job's image or ConfigMap, and what `more` adds to its spec. */
  async apply(from: { readonly image: string } | { readonly configMap: string }, more: Partial<StreamJobSpec> = {}): Promise<void> {
    const { s3, brokers } = this.#servers;
    const credentials = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region };
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s3", namespace: this.namespace }, stringData: credentials };
    const spec: StreamJobSpec = {
      ...("image" in from ? from : {}),
      job: { module: "visits.ts", ...("configMap" in from ? from : {}), parameters: { brokers: brokers.join(","), ...this.#topics } },
      parallelism: 2,
      checkpoints: {
        storage: `s3://${s3.bucket}/${this.namespace}/${this.name}`,
        interval: "1 s",
        s3: { endpoint: s3.endpoint, region: s3.region, forcePathStyle: true },
      },
      rollback: { stableTimeout: "2 min" },
      podTemplate: { spec: { containers: [{ name: "millrace", envFrom: [{ secretRef: { name: "s3" } }] }] } },
      jobManager: { replicas: 1, resources: { cpu: "50m", memory: "512Mi" } },
      taskManager: { resources: { cpu: "50m", memory: "768Mi" } },
      ...more,
    };
    const job = { apiVersion: "millrace.dev/v1alpha1", kind: "StreamJob", metadata: { name: this.name, namespace: this.namespace }, spec };
    await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: [secret, job] }));
  }

  async get(): Promise<JobObject> {
    return JSON.parse(await kubectl(["get", "streamjob", this.name, "-n", this.namespace, "-o", "json"])) as JobObject;
  }

  /** Waits until the status is as wanted, and returns it; fails with everything a person would look at. */
  async until(what: string, wanted: (status: StreamJobStatus, job: JobObject) => boolean, timeoutMs = 300_000): Promise<StreamJobStatus> {
    try {
      return await eventually(
        `${this.name} ${what}`,
        async () => {
          const job = await this.get();
          return job.status !== undefined && wanted(job.status, job) ? job.status : undefined;
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.describe()}`, { cause: error });
    }
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

  async describe(): Promise<string> {
    const part = (...args: readonly string[]): Promise<string> => kubectl(args).catch(String);
    const here = ["-n", this.namespace];
    const parts = await Promise.all([
      part("get", "streamjob", this.name, ...here, "-o", "jsonpath={.status}"),
      part("get", "pods", ...here, "-o", "wide"),
      part("get", "events", ...here, "--sort-by=.lastTimestamp"),
      part("logs", ...here, "-l", `millrace.dev/job=${this.name}`, "--prefix", "--tail=30", "--ignore-errors"),
    ]);
    return parts.join("\n---\n");
  }
}
