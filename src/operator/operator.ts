// The operator: informers, controllers and the lease put together. It knows no Kubernetes client, so that it runs over any Cluster.
import { Controller } from "../controller/controller.ts";
import { EventRecorder } from "../controller/event-recorder.ts";
import { fencedCluster } from "../controller/fenced-cluster.ts";
import { keyOf } from "../controller/informer.ts";
import { ownerOfObject } from "../controller/owner-labels.ts";
import { defaultLeaseTimes, LeaderElection, type LeaseTimes } from "../controller/leader-election.ts";
import { ControllerMetrics } from "../controller/metrics.ts";
import { ObjectCache } from "../controller/object-cache.ts";
import type { Priority } from "../controller/workqueue.ts";
import type { Cluster, ObjectKey } from "../ports/cluster.ts";
import { embeddedReconciler } from "../embedded/reconciler.ts";
import { microBatchReconciler } from "../microbatch/reconciler.ts";
import type { AppClient, TopicClient } from "../ports/app-client.ts";
import type { DriverClient } from "../ports/driver-client.ts";
import type { JobClient } from "../ports/job-client.ts";
import type { Machine } from "../ports/machine.ts";
import type { AnyObject } from "../ports/objects.ts";
import { SavepointReconciler } from "../savepoint/savepoint-reconciler.ts";
import { streamJobReconciler } from "../streamjob/reconciler.ts";
import { cachedKinds, childKinds } from "./cached-kinds.ts";

export interface OperatorOptions {
  readonly cluster: Cluster;
  readonly client: JobClient;
  readonly driver: DriverClient;
  readonly app: AppClient;
  readonly topics: TopicClient;
  readonly machine: Machine;
  readonly identity: string;
  /** Undefined: this process is the only one, and leads at once. */
  readonly lease: ObjectKey | undefined;
  readonly leaseTimes?: LeaseTimes;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly defaultImage: string | undefined;
  readonly workers?: number;
  readonly minBackoffMs?: number;
  readonly watchInactivityMs?: number;
  /** How often the pods of a resource that nothing happens to are asked how they are; default a minute. */
  readonly restingMs?: number;
  readonly metrics?: ControllerMetrics;
}

export const controllerNames = ["streamjob", "savepoint", "embeddedstreamapp", "microbatchjob"] as const;

const defaultWorkers = 16;

export class Operator {
  readonly metrics: ControllerMetrics;
  readonly #cache: ObjectCache;
  readonly #election: LeaderElection | undefined;
  readonly #controllers: readonly Controller[];
  readonly #events: EventRecorder;
  #stopped = false;

  constructor(options: OperatorOptions) {
    this.metrics = options.metrics ?? new ControllerMetrics(controllerNames);
    const {
      cluster,
      client,
      driver,
      app,
      topics,
      machine,
      identity,
      lease,
      leaseTimes = defaultLeaseTimes,
      namespaces,
      defaultImage,
    } = options;
    this.#election = lease === undefined ? undefined : new LeaderElection({ cluster, machine, key: lease, identity, times: leaseTimes });
    const fenced = fencedCluster(cluster, () => this.leading);
    this.#cache = new ObjectCache(cluster, machine, cachedKinds(namespaces), options.watchInactivityMs);
    this.#events = new EventRecorder(fenced, machine, identity);
    const parts = { cluster: fenced, cache: this.#cache, client, machine, events: this.#events, metrics: this.metrics };
    const { restingMs } = options;
    const resting = { ...parts, ...(restingMs === undefined ? {} : { restingMs }) };
    const jobs = streamJobReconciler({ ...resting, defaultImage });
    const savepoints = new SavepointReconciler(parts);
    const embedded = embeddedReconciler({ ...resting, app, topics });
    const batches = microBatchReconciler({ ...resting, driver, defaultImage });
    const shared = {
      machine,
      metrics: this.metrics,
      ...(options.minBackoffMs === undefined ? {} : { minBackoffMs: options.minBackoffMs }),
    };
    const workers = options.workers ?? defaultWorkers;
    this.#controllers = [
      new Controller({ ...shared, name: "streamjob", workers, reconcile: (key, signal) => jobs.reconcile(key, signal) }),
      new Controller({
        ...shared,
        name: "savepoint",
        workers: Math.ceil(workers / 4),
        reconcile: (key, signal) => savepoints.reconcile(key, signal),
      }),
      new Controller({ ...shared, name: "embeddedstreamapp", workers, reconcile: (key, signal) => embedded.reconcile(key, signal) }),
      new Controller({ ...shared, name: "microbatchjob", workers, reconcile: (key, signal) => batches.reconcile(key, signal) }),
    ];
    this.#connect();
    this.#watchFigures();
  }

  /** True while this replica may change anything. */
  get leading(): boolean {
    return !this.#stopped && (this.#election === undefined || this.#election.leading);
  }

  /** All that it must know has been read. */
  get ready(): boolean {
    return this.#cache.synced;
  }

  /** Runs until `signal` aborts, or the lease is lost (false): then the process must end, for what it knows may be old. */
  async run(signal: AbortSignal): Promise<boolean> {
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    // Replicas that stand by read everything too: they are warm when they take over.
    const informers = this.#cache.run(stop.signal);
    let lost = false;
    try {
      if (this.#election !== undefined && !(await this.#election.acquire(stop.signal))) return true;
      const held = (
        this.#election?.hold(stop.signal) ?? new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()))
      ).then(() => {
        lost = !stop.signal.aborted;
        stop.abort();
      });
      await Promise.all([held, ...this.#controllers.map((controller) => controller.run(stop.signal))]);
      return !lost;
    } finally {
      stop.abort();
      this.#stopped = true;
      await Promise.all([informers, this.#events.flush()]);
      signal.removeEventListener("abort", abort);
    }
  }

  #connect(): void {
    const [jobs, savepoints, embedded, batches] = this.#controllers as [Controller, Controller, Controller, Controller];
    // A change of the wish goes before everything; what only reports can wait behind it.
    const changed = (object: AnyObject, previous: AnyObject | undefined): Priority =>
      previous !== undefined && previous !== object && previous.metadata.generation === object.metadata.generation ? "resync" : "change";
    this.#cache.informer("StreamJob").onChange((object, previous) => jobs.queue.add(keyOf(object), changed(object, previous)));
    this.#cache.informer("Savepoint").onChange((object, previous) => {
      savepoints.queue.add(keyOf(object), changed(object, previous));
      jobs.queue.add(`${object.metadata.namespace ?? ""}/${object.spec.job}`, "resync");
    });
    this.#cache.informer("EmbeddedStreamApp").onChange((object, previous) => embedded.queue.add(keyOf(object), changed(object, previous)));
    this.#cache.informer("MicroBatchJob").onChange((object, previous) => batches.queue.add(keyOf(object), changed(object, previous)));
    const queues = { StreamJob: jobs.queue, MicroBatchJob: batches.queue, EmbeddedStreamApp: embedded.queue };
    for (const kind of childKinds) {
      this.#cache.informer(kind).onChange((object) => {
        const owner = ownerOfObject(object);
        if (owner !== undefined) queues[owner.kind].add(`${owner.key.namespace}/${owner.key.name}`);
      });
    }
  }

  #watchFigures(): void {
    this.metrics.watchFigures({
      queues: () => this.#controllers.map(({ name, queue }) => ({ name, depth: queue.depth, processing: queue.processing })),
      leading: () => this.leading,
      jobsByState: () => {
        const counts = new Map<string, number>();
        for (const { status } of this.#cache.informer("StreamJob").all()) {
          const state = status?.state ?? "Created";
          counts.set(state, (counts.get(state) ?? 0) + 1);
        }
        return counts;
      },
      relists: () => new Map(this.#cache.informers.map(({ kind, relists }) => [kind, relists])),
    });
  }
}
