// `millrace up`: the operator over a cluster in memory whose pods are child processes. A changed manifest is brought out as on Kubernetes.
import { randomBytes } from "node:crypto";
import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import { HttpAppClient } from "../job-rest/http-app-client.ts";
import { HttpDriverClient } from "../job-rest/http-driver-client.ts";
import { HttpJobClient } from "../job-rest/http-job-client.ts";
import { KafkaTopicClient } from "../kafka/kafka-topic-client.ts";
import { Kubelet } from "../memory/kubelet.ts";
import { MemoryCluster } from "../memory/memory-cluster.ts";
import { WorkloadControllers } from "../memory/workload-controllers.ts";
import { Operator } from "../operator/operator.ts";
import { typeOf } from "../ports/kind-table.ts";
import { type Clock, type Log, messageOf } from "../ports/machine.ts";
import type { EmbeddedStreamApp, KubeEvent, MicroBatchJob, Pod, StreamJob } from "../ports/objects.ts";
import { podSeen } from "../streamjob/observe.ts";
import { ChildProcesses, tokenFile } from "./child-processes.ts";
import { type LocalManifest, localSpec } from "./local-job.ts";

export interface UpOptions {
  /** The manifest's path, for its folder and for watching it. */
  readonly file: string;
  /** Reads and checks it; rejects with what is wrong. */
  readonly load: () => Promise<LocalManifest>;
  readonly command: readonly string[];
  readonly folder: string;
  /** Ends it: all processes are stopped, and the next start goes on from the newest checkpoint. */
  readonly signal: AbortSignal;
  /** Ends by itself when the job has read all its input. */
  readonly exitAtEnd: boolean;
  /** One line for people. */
  readonly say: (line: string) => void;
  readonly log: Log;
}

const namespace = "local";
const settleMs = 150;
/** On one machine asking costs nothing, and somebody waits for the job's end. */
const restingMs = 500;

const clock: Clock = {
  now: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};

/** Resolves with the job's last state. */
export async function up(options: UpOptions): Promise<string> {
  const { signal, say, log, load, file, folder, exitAtEnd } = options;
  const manifest = await load();
  const key = { namespace, name: manifest.metadata.name };
  const cluster = new MemoryCluster(clock, { requestMs: () => 0, watchDelayMs: () => 0 });
  const late: { kubelet?: Kubelet } = {};
  const processes = new ChildProcesses({ ...options, store: cluster.store, changed: (pod) => late.kubelet?.lookAt(pod) });
  late.kubelet = new Kubelet(cluster.store, clock, processes, () => 0);
  const controllers = new WorkloadControllers(cluster.store, clock, () => 5);
  const killAll = (): void => processes.killAll();
  process.on("exit", killAll);
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  signal.addEventListener("abort", abort);
  let state = "Created";
  const told = new Set<string>();
  cluster.store.onChange((kind, event) => {
    if (event.type === "BOOKMARK") return;
    if (kind === "Event" && event.type === "ADDED") {
      const { reason, message, type } = event.object as KubeEvent;
      say(`${type === "Warning" ? "! " : "  "}${reason}: ${message}`);
    }
    if (kind === "Pod" && manifest.kind === "StreamJob") tellJobManager(event.object as Pod, told, folder, say);
    if (kind !== manifest.kind) return;
    const { status } = event.object as StreamJob | MicroBatchJob | EmbeddedStreamApp;
    if (status?.state !== undefined && status.state !== state) say(`= ${status.state}`);
    state = status?.state ?? state;
    if (exitAtEnd && ends(manifest.kind, state)) stop.abort();
  });
  const operator = new Operator({
    cluster,
    client: new HttpJobClient(),
    driver: new HttpDriverClient(),
    app: new HttpAppClient(),
    topics: new KafkaTopicClient(Date.now),
    machine: { clock, random: Math.random, log, secret: () => randomBytes(24).toString("hex") },
    identity: `up-${process.pid}`,
    lease: undefined,
    namespaces: [namespace],
    defaultImage: undefined,
    workers: 2,
    restingMs,
  });
  const spec = await localSpec(manifest, file, folder);
  cluster.store.create({ ...typeOf(manifest.kind), metadata: key, spec } as StreamJob | MicroBatchJob | EmbeddedStreamApp);
  const unwatch = watchFile(file, log, async () => {
    try {
      const changed = await load();
      if (changed.kind !== manifest.kind) throw new Error(`the manifest is a ${changed.kind} now; end this and start again`);
      const next = await localSpec(changed, file, folder);
      cluster.store.update(manifest.kind, key, (job) => ({ ...job, spec: next }) as StreamJob & MicroBatchJob & EmbeddedStreamApp);
    } catch (error) {
      say(`! ${messageOf(error)}; the last good manifest goes on`);
    }
  });
  try {
    await operator.run(stop.signal);
  } finally {
    unwatch();
    signal.removeEventListener("abort", abort);
    controllers.close();
    cluster.close();
    await processes.stopAll();
    process.off("exit", killAll);
  }
  return state;
}

// A StreamJob that has failed goes on trying; a MicroBatchJob counts its failures, and has ended then.
const ends = (kind: LocalManifest["kind"], state: string): boolean =>
  state === "Finished" || (kind === "MicroBatchJob" && state === "Failed");

// Where people reach a run's REST API, once for each process.
function tellJobManager(pod: Pod, told: Set<string>, folder: string, say: (line: string) => void): void {
  const { ready, component, run, name, ip = "", restPort } = podSeen(pod);
  const process = `${name} ${restPort}`;
  if (!ready || component !== "jobmanager" || told.has(process)) return;
  told.add(process);
  say(`  JobManager: run ${run} at http://${ip}:${restPort}, token in ${tokenFile(folder, name)}`);
}

// The folder is watched: editors put a new file in the place of the old one.
function watchFile(file: string, log: Log, changed: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(dirname(file), (_event, name) => {
    if (name !== null && name !== basename(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      changed().catch((error: unknown) => log.error("the manifest could not be applied", { reason: messageOf(error) }));
    }, settleMs);
  });
  watcher.on("error", (error) => log.warn("the manifest is not watched any more", { reason: error.message }));
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
