// All jobs of a simulated cluster: which pods belong to which run, who processes at the same time, and the REST API that the operator calls.
import type { RestorePoint } from "millrace/api";
import type { MemoryCluster } from "../memory/memory-cluster.ts";
import { type JobAddress, type JobClient, JobClientError } from "../ports/job-client.ts";
import type { Pod } from "../ports/objects.ts";
import { defaultJobTiming, faultOf, type JobTiming, SimulatedRun } from "./job-run.ts";
import { JobStorage } from "./job-storage.ts";
import { type Kubelet, type PodProcesses, podView, type ProcessEnd } from "../memory/kubelet.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How long a process that cannot load its job lives. */
const crashMs = 100;

export class SimulatedJobs implements PodProcesses {
  readonly #cluster: MemoryCluster;
  readonly #time: VirtualTime;
  readonly #timing: JobTiming;
  readonly #requestMs: () => number;
  readonly #storages = new Map<string, JobStorage>();
  readonly #runs = new Map<string, SimulatedRun>();
  readonly #ended = new Map<string, (end: ProcessEnd) => void>();
  #kubelet: Kubelet | undefined;
  readonly #terminationMs: () => number;
  /** The most runs of one job that processed at the same time. */
  mostActive = 0;
  /** Runs whose JobManagers die soon after each start. */
  readonly crashLooping = new Set<number>();

  constructor(
    cluster: MemoryCluster,
    time: VirtualTime,
    delays: { readonly requestMs: () => number; readonly terminationMs: () => number },
    timing: JobTiming = defaultJobTiming,
  ) {
    this.#cluster = cluster;
    this.#time = time;
    this.#requestMs = delays.requestMs;
    this.#terminationMs = delays.terminationMs;
    this.#timing = timing;
    cluster.store.onChange((kind, event) => {
      if (kind === "Lease" && event.type !== "BOOKMARK") this.#orderInLease(event.object.metadata);
    });
  }

  connect(kubelet: Kubelet): void {
    this.#kubelet = kubelet;
  }

  storage(namespace: string, job: string): JobStorage {
    const key = `${namespace}/${job}`;
    const storage = this.#storages.get(key) ?? new JobStorage();
    this.#storages.set(key, storage);
    return storage;
  }

  runs(namespace: string, job: string): readonly SimulatedRun[] {
    return [...this.#runs].filter(([key]) => key.startsWith(`${namespace}/${job}/`)).map(([, run]) => run);
  }

  violations(): readonly string[] {
    return [...this.#storages.values()].flatMap(({ violations }) => violations);
  }

  refused(pod: Pod): string | undefined {
    return podView(pod).image.includes("missing") ? "ImagePullBackOff" : undefined;
  }

  start(pod: Pod, ended: (end: ProcessEnd) => void): void {
    const { environment, image } = podView(pod);
    const run = this.#runOf(pod);
    if (run === undefined) return;
    if (faultOf(image) === "crash") {
      this.#time.after(crashMs, () => ended({ exitCode: 1, message: "the module cannot be loaded" }));
      return;
    }
    const name = pod.metadata.name;
    if (this.crashLooping.has(run.run) && pod.metadata.labels?.["app.kubernetes.io/component"] === "jobmanager") {
      this.#time.after(crashMs, () => ended({ exitCode: 1, message: "out of memory" }));
      return;
    }
    this.#ended.set(name, ended);
    if (pod.metadata.labels?.["app.kubernetes.io/component"] === "taskmanager") run.taskManagers.set(name, pod);
    else {
      run.jobManagers.set(name, pod);
      if (environment["MILLRACE_STANDBY"] !== "1") run.order ??= orderOf(environment);
      const lease = this.#cluster.store.get("Lease", {
        namespace: pod.metadata.namespace ?? "",
        name: environment["MILLRACE_LEASE"] ?? "",
      });
      if (lease !== undefined) this.#orderInLease(lease.metadata);
    }
    run.look();
  }

  /** The process goes on until it is gone: a pod that is being deleted may still put something out. */
  stop(pod: Pod, done: () => void): void {
    this.#time.after(this.#terminationMs(), () => {
      this.#gone(pod);
      done();
    });
  }

  /** The pod's process is killed, as by the kernel. */
  kill(pod: Pod): void {
    const ended = this.#ended.get(pod.metadata.name);
    this.#gone(pod);
    ended?.({ exitCode: 137, message: "killed" });
  }

  address(): { readonly ip: string } {
    return { ip: "10.0.0.1" };
  }

  ready(pod: Pod): boolean {
    const run = this.#runOf(pod);
    return run?.jobManagers.has(pod.metadata.name) === true || run?.taskManagers.has(pod.metadata.name) === true;
  }

  #gone(pod: Pod): void {
    this.#ended.delete(pod.metadata.name);
    const run = this.#runOf(pod);
    if (run === undefined) return;
    run.jobManagers.delete(pod.metadata.name);
    run.taskManagers.delete(pod.metadata.name);
    run.forget();
    run.look();
  }

  client(): JobClient {
    return {
      report: async (address) => (await this.#reach(address)).report,
      start: async (address, restore) => {
        const run = await this.#reach(address);
        run.order ??= restore;
        run.look();
      },
      startSavepoint: async (address, id, mode) => {
        const report = (await this.#reach(address)).startSavepoint(id, mode);
        if (report === undefined) throw new JobClientError("refused", address.job, "the job does not run");
        return report;
      },
      savepoint: async (address, id) => (await this.#reach(address)).savepointReport(id),
      rescale: async (address, parallelism) => {
        const run = await this.#reach(address);
        run.parallelism = parallelism;
        run.look();
      },
    };
  }

  async #reach(address: JobAddress): Promise<SimulatedRun> {
    await new Promise<void>((resolve) => this.#time.after(this.#requestMs(), resolve));
    const run = this.#runs.get(`${address.namespace}/${address.job}/${address.run}`);
    if (run === undefined || !address.jobManagers.some(({ podName }) => run.jobManagers.has(podName)))
      throw new JobClientError("unreachable", address.job, "connection refused");
    return run;
  }

  #runOf(pod: Pod): SimulatedRun | undefined {
    const { labels = {}, namespace = "" } = pod.metadata;
    const job = labels["millrace.dev/job"];
    const number = labels["millrace.dev/run"];
    if (job === undefined || number === undefined) return undefined;
    const key = `${namespace}/${job}/${number}`;
    const known = this.#runs.get(key);
    if (known !== undefined) return known;
    const { environment, image } = podView(pod);
    const run = new SimulatedRun({
      run: Number(number),
      image,
      parallelism: this.#parallelism(namespace, number),
      slots: Number(environment["MILLRACE_SLOTS"] ?? 1),
      storage: this.storage(namespace, job),
      time: this.#time,
      timing: this.#timing,
      changed: () => this.#runChanged(namespace, job, run),
    });
    this.#runs.set(key, run);
    return run;
  }

  // The manifest that the pods read.
  #parallelism(namespace: string, run: string): number {
    const [configMap] = this.#cluster.store.list("ConfigMap", { namespace, labels: { "millrace.dev/run": run } });
    const manifest = JSON.parse(configMap?.data?.["job.yaml"] ?? "{}") as { readonly spec?: { readonly parallelism?: number } };
    return manifest.spec?.parallelism ?? 1;
  }

  #runChanged(namespace: string, job: string, run: SimulatedRun): void {
    const active = this.runs(namespace, job).filter(({ processing }) => processing);
    this.mostActive = Math.max(this.mostActive, active.length);
    if (active.length > 1) {
      const runs = active.map((one) => `${one.run} (${one.state})`).join(", ");
      this.storage(namespace, job).violations.push(`runs ${runs} process at the same time`);
    }
    for (const pod of [...run.jobManagers.values(), ...run.taskManagers.values()]) this.#kubelet?.lookAt(pod);
  }

  #orderInLease({ namespace = "", annotations = {}, labels = {} }: Pod["metadata"]): void {
    const text = annotations["millrace.dev/start"];
    if (text === undefined) return;
    const order = JSON.parse(text) as { readonly run: number; readonly restore: RestorePoint };
    const run = this.#runs.get(`${namespace}/${labels["millrace.dev/job"] ?? ""}/${order.run}`);
    if (run === undefined || run.jobManagers.size === 0) return;
    run.order ??= order.restore;
    run.look();
  }
}

function orderOf(environment: Readonly<Record<string, string>>): RestorePoint {
  const location = environment["MILLRACE_RESTORE_LOCATION"] ?? "";
  return { sinceRun: Number(environment["MILLRACE_RESTORE_SINCE_RUN"] ?? 0), ...(location === "" ? {} : { location }) };
}
