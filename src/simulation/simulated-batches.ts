// A model of drivers of MicroBatchJobs in simulated pods: they restore, commit batches, take savepoints, end, and say so in their termination message.
import type { RestorePoint } from "millrace/api";
import { type PodProcesses, podView, type ProcessEnd } from "../memory/kubelet.ts";
import type { MemoryCluster } from "../memory/memory-cluster.ts";
import type { DriverAddress, DriverClient } from "../ports/driver-client.ts";
import { JobClientError } from "../ports/job-client.ts";
import type { Pod } from "../ports/objects.ts";
import { BatchStorage } from "./batch-storage.ts";
import { SimulatedDriver } from "./simulated-driver.ts";
import type { VirtualTime } from "./virtual-time.ts";

const crashMs = 100;

export const batchLabel = "millrace.dev/microbatchjob";

export class SimulatedBatches implements PodProcesses {
  readonly #cluster: MemoryCluster;
  readonly #time: VirtualTime;
  readonly #delays: { readonly requestMs: () => number; readonly terminationMs: () => number };
  readonly #storages = new Map<string, BatchStorage>();
  readonly #drivers = new Map<string, SimulatedDriver>();
  readonly #executors = new Set<string>();
  /** What is wrong with the world of its sources: records that wait, by job. */
  readonly backlogs = new Map<string, number>();

  constructor(
    cluster: MemoryCluster,
    time: VirtualTime,
    delays: { readonly requestMs: () => number; readonly terminationMs: () => number },
  ) {
    this.#cluster = cluster;
    this.#time = time;
    this.#delays = delays;
  }

  storage(namespace: string, job: string): BatchStorage {
    const key = `${namespace}/${job}`;
    const storage = this.#storages.get(key) ?? new BatchStorage();
    this.#storages.set(key, storage);
    return storage;
  }

  violations(): readonly string[] {
    return [...this.#storages.values()].flatMap(({ violations }) => violations);
  }

  refused(pod: Pod): string | undefined {
    return podView(pod).image.includes("missing") ? "ImagePullBackOff" : undefined;
  }

  start(pod: Pod, ended: (end: ProcessEnd) => void): void {
    const { environment, image, arguments: given } = podView(pod);
    const name = pod.metadata.name;
    if (given[0] !== "driver") {
      this.#executors.add(name);
      return;
    }
    if (image.includes("crash-start")) {
      this.#time.after(crashMs, () => ended({ exitCode: 1, message: "the module cannot be loaded" }));
      return;
    }
    const { namespace = "", labels = {} } = pod.metadata;
    const job = labels[batchLabel] ?? "";
    this.#drivers.set(
      name,
      new SimulatedDriver({
        run: Number(environment["MILLRACE_RUN"]),
        image,
        ends: this.#ends(namespace, job, environment["MILLRACE_RUN"] ?? ""),
        restore: restoreOf(environment),
        storage: this.storage(namespace, job),
        time: this.#time,
        backlog: () => this.backlogs.get(`${namespace}/${job}`) ?? 0,
        executors: () => [...this.#executors].filter((one) => one.startsWith(name.replace(/driver$/, "ex"))).length,
        ended: (end) => {
          this.#drivers.delete(name);
          ended(end);
        },
      }),
    );
  }

  // SIGTERM: the batch under way is finished.
  stop(pod: Pod, done: () => void): void {
    const name = pod.metadata.name;
    this.#drivers.get(name)?.stop("after-batch");
    this.#time.after(this.#delays.terminationMs(), () => {
      this.#drivers.get(name)?.kill();
      this.#drivers.delete(name);
      this.#executors.delete(name);
      done();
    });
  }

  /** The driver's process is killed, as by the kernel. */
  kill(pod: Pod): void {
    this.#drivers.get(pod.metadata.name)?.crash("killed", 137);
  }

  address(): { readonly ip: string } {
    return { ip: "10.0.0.2" };
  }

  ready(pod: Pod): boolean {
    return this.#executors.has(pod.metadata.name) || this.#drivers.has(pod.metadata.name);
  }

  client(): DriverClient {
    return {
      report: async (address) => (await this.#reach(address)).report(),
      stopWithSavepoint: async (address, id) => (await this.#reach(address)).stopWithSavepoint(id),
      savepoint: async (address, id) => (await this.#reach(address)).savepoint(id),
      stop: async (address, mode) => (await this.#reach(address)).stop(mode),
    };
  }

  async #reach(address: DriverAddress): Promise<SimulatedDriver> {
    await new Promise<void>((resolve) => this.#time.after(this.#delays.requestMs(), resolve));
    const job = address.job.split("/")[1] ?? "";
    const driver = this.#drivers.get(`${job}-batch-${address.run}-driver`);
    if (driver === undefined) throw new JobClientError("unreachable", address.job, "connection refused");
    return driver;
  }

  // The manifest that the pods read.
  #ends(namespace: string, job: string, run: string): boolean {
    const [configMap] = this.#cluster.store.list("ConfigMap", { namespace, labels: { [batchLabel]: job, "millrace.dev/run": run } });
    const manifest = JSON.parse(configMap?.data?.["job.yaml"] ?? "{}") as {
      readonly spec?: { readonly trigger?: { readonly type?: string } };
    };
    return manifest.spec?.trigger?.type === "available-now";
  }
}

function restoreOf(environment: Readonly<Record<string, string>>): RestorePoint {
  const location = environment["MILLRACE_RESTORE_LOCATION"] ?? "";
  return { sinceRun: Number(environment["MILLRACE_RESTORE_SINCE_RUN"] ?? 0), ...(location === "" ? {} : { location }) };
}
