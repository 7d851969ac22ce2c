// A whole simulated cluster with an operator in it that is started again whenever it dies.
import type { StreamJobSpec, StreamJobStatus } from "millrace/api";
import { Operator } from "../operator/operator.ts";
import { typeOf } from "../ports/kind-table.ts";
import { type Log, silentLog } from "../ports/machine.ts";
import type { Pod, Savepoint, StreamJob } from "../ports/objects.ts";
import { type Fault, type FaultPlan, faultyApp, faultyClient, faultyCluster, faultyDriver } from "./faults.ts";
import { Kubelet, type PodProcesses } from "../memory/kubelet.ts";
import { MemoryCluster } from "../memory/memory-cluster.ts";
import { appLabel, SimulatedApps } from "./simulated-apps.ts";
import { batchLabel, SimulatedBatches } from "./simulated-batches.ts";
import { SimulatedJobs } from "./simulated-jobs.ts";
import { seededRandom, VirtualTime } from "./virtual-time.ts";
import { WorkloadControllers } from "../memory/workload-controllers.ts";

export const namespace = "jobs";
export const jobName = "clicks";

export interface WorldOptions {
  readonly seed: number;
  readonly log?: Log;
  /** The operator starts again so long after its death, ms. */
  readonly restartMs?: number;
  readonly lease?: boolean;
}

export class World {
  readonly time = new VirtualTime();
  readonly cluster: MemoryCluster;
  readonly jobs: SimulatedJobs;
  readonly batches: SimulatedBatches;
  readonly apps: SimulatedApps;
  readonly workloads: WorkloadControllers;
  /** Writes of the operator since counting began. */
  readonly writes: string[] = [];
  deaths = 0;
  readonly #random: () => number;
  readonly #options: WorldOptions;
  #fault: { readonly at: number; readonly fault: Fault } | undefined;
  #chance: (() => Fault | undefined) | undefined;
  #counting = false;
  #closed = false;
  #kill: () => void = () => {};

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const between = (least: number, most: number) => () => least + Math.floor(this.#random() * (most - least + 1));
    const requestMs = between(1, 4);
    this.cluster = new MemoryCluster(this.time, { requestMs, watchDelayMs: between(1, 40) });
    this.jobs = new SimulatedJobs(this.cluster, this.time, { requestMs, terminationMs: between(200, 3000) });
    this.batches = new SimulatedBatches(this.cluster, this.time, { requestMs, terminationMs: between(200, 3000) });
    this.workloads = new WorkloadControllers(this.cluster.store, this.time, between(5, 60));
    this.apps = new SimulatedApps(this.time, { requestMs, terminationMs: between(200, 3000) });
    const processes = byLabel(({ metadata: { labels = {} } }) =>
      labels[appLabel] !== undefined ? this.apps : labels[batchLabel] !== undefined ? this.batches : this.jobs,
    );
    const kubelet = new Kubelet(this.cluster.store, this.time, processes, between(200, 1500));
    this.jobs.connect(kubelet);
    this.apps.onChange((pod) => kubelet.lookAt(pod));
  }

  startOperator(): void {
    if (this.#closed) return;
    const clock = this.time.process();
    const stop = new AbortController();
    const die = (): void => {
      clock.die();
      stop.abort();
      this.deaths++;
      this.time.after(this.#options.restartMs ?? 1_500, () => this.startOperator());
    };
    this.#kill = die;
    const plan: FaultPlan = { next: (write) => this.#next(write), die };
    const operator = new Operator({
      cluster: dying(faultyCluster(this.cluster, plan), stop.signal),
      client: dying(faultyClient(this.jobs.client(), plan), stop.signal),
      driver: dying(faultyDriver(this.batches.client(), plan), stop.signal),
      app: dying(faultyApp(this.apps.client(), plan), stop.signal),
      topics: dying(this.apps.topics(), stop.signal),
      machine: { clock, random: this.#random, log: this.#options.log ?? silentLog, secret: () => "a-token" },
      identity: `operator-${this.deaths}`,
      lease: this.#options.lease === true ? { namespace: "operator", name: "operator" } : undefined,
      namespaces: [],
      defaultImage: undefined,
    });
    // Of a process that has died nothing ends in order: what it awaits never comes.
    operator.run(stop.signal).then(
      (held) => {
        if (!held && !stop.signal.aborted) die();
      },
      () => die(),
    );
  }

  /** The operator's process ends now. */
  killOperator(): void {
    this.#kill();
  }

  close(): void {
    this.#closed = true;
    this.#kill();
  }

  /** From now on writes are counted; the one with this number (from 0) meets the fault. */
  count(fault?: { readonly at: number; readonly fault: Fault }): void {
    this.#counting = true;
    this.#fault = fault;
  }

  /** From now on each write meets a fault by chance. */
  disturb(chance: (() => Fault | undefined) | undefined): void {
    this.#chance = chance;
  }

  #next(write: string): Fault | undefined {
    const byChance = this.#chance?.();
    if (byChance !== undefined) return byChance;
    if (!this.#counting) return undefined;
    const at = this.writes.push(write) - 1;
    return this.#fault?.at === at ? this.#fault.fault : undefined;
  }

  create(spec: StreamJobSpec, name = jobName): void {
    this.cluster.store.create<StreamJob>({ ...typeOf("StreamJob"), metadata: { name, namespace }, spec });
  }

  change(change: (spec: StreamJobSpec) => StreamJobSpec, name = jobName): void {
    this.cluster.store.update("StreamJob", { namespace, name }, (job) => ({ ...job, spec: change(job.spec) }));
  }

  annotate(annotations: Readonly<Record<string, string>>, name = jobName): void {
    this.cluster.store.update("StreamJob", { namespace, name }, (job) => ({
      ...job,
      metadata: { ...job.metadata, annotations: { ...job.metadata.annotations, ...annotations } },
    }));
  }

  delete(name = jobName): void {
    this.cluster.store.delete("StreamJob", { namespace, name });
  }

  job(name = jobName): StreamJob | undefined {
    return this.cluster.store.get("StreamJob", { namespace, name });
  }

  status(name = jobName): StreamJobStatus {
    return this.job(name)?.status ?? {};
  }

  condition(type: string, name = jobName): { readonly status: string; readonly reason: string; readonly message: string } {
    return this.status(name).conditions?.find((one) => one.type === type) ?? { status: "Unknown", reason: "", message: "" };
  }

  savepoints(): readonly Savepoint[] {
    return this.cluster.store.list("Savepoint", { namespace });
  }

  /** True when the job rests: it is stable, nothing is in progress, and the status is about the manifest of now. */
  settled(name = jobName): boolean {
    const job = this.job(name);
    const { upgrade, rescale, active, observedGeneration } = job?.status ?? {};
    return (
      job !== undefined &&
      upgrade === undefined &&
      rescale === undefined &&
      active?.phase === "stable" &&
      observedGeneration === job.metadata.generation
    );
  }

  image(name = jobName): string | undefined {
    const { active } = this.status(name);
    const revision = this.cluster.store.get("ControllerRevision", { namespace, name: active?.revision ?? "" });
    return (revision?.data as { readonly spec: { readonly image: string } } | undefined)?.spec.image;
  }

  /** What no run may ever do. */
  violations(): readonly string[] {
    return [...this.jobs.violations(), ...this.batches.violations(), ...this.apps.violations];
  }
}

const byLabel = (of: (pod: Pod) => PodProcesses): PodProcesses => ({
  refused: (pod) => of(pod).refused(pod),
  start: (pod, ended) => of(pod).start(pod, ended),
  stop: (pod, done) => of(pod).stop(pod, done),
  ready: (pod) => of(pod).ready(pod),
  address: (pod) => of(pod).address(pod),
});

// Nothing that a dead process has asked for reaches it, and it asks for nothing any more.
function dying<T extends object>(port: T, signal: AbortSignal): T {
  return new Proxy(port, {
    get(target, property) {
      const method: unknown = Reflect.get(target, property);
      if (typeof method !== "function") return method;
      return async (...parameters: readonly unknown[]): Promise<unknown> => {
        const never = new Promise<never>(() => {});
        if (signal.aborted) return never;
        try {
          const answer: unknown = await Reflect.apply(method, target, parameters);
          return signal.aborted && property !== "watch" ? never : answer;
        } catch (error) {
          if (signal.aborted && property !== "watch") return never;
          throw error;
        }
      };
    },
  });
}
