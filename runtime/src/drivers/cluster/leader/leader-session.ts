// One leadership of a job: takes the epoch, reads what the leader before left, and acts on what the coordinator decides.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { CheckpointStore, type SnapshotRef } from "../../../checkpoint/store/checkpoint-store.ts";
import { openSnapshot } from "../../../checkpoint/store/open-snapshot.ts";
import { checkRestore } from "../../../checkpoint/store/restore-check.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import { openStorage, type StorageOptions } from "../../../checkpoint/storage/open-storage.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { EntryMerging } from "../../../core/ports/state-entries.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { RestoredSource } from "../../continuous/split-book.ts";
import { deadLetterUid } from "../../task/task-parts.ts";
import { Coordinator } from "../coordinator/coordinator.ts";
import type { JobGraph } from "../coordinator/job-graph.ts";
import type {
  CoordinatorAction,
  CoordinatorEvent,
  CoordinatorOptions,
  Failure,
  LatestSnapshot,
  Outcome,
  RescaleResult,
} from "../coordinator/types.ts";
import type { Hello, WorkerConnection, WorkerListener } from "../rpc/rpc-server.ts";
import { ExecutionStore } from "./execution-store.ts";
import { SnapshotSteps } from "./snapshot-steps.ts";
import { SplitDiscovery } from "./split-discovery.ts";
import { WorkerRegistry } from "./worker-registry.ts";

/** Where a run starts that has no checkpoint of its own. */
export interface RestorePoint {
  /** Checkpoints of runs below this one do not count. */
  readonly sinceRun: number;
  readonly location: string | undefined;
}

export interface LeaderParts {
  readonly dataflow: Dataflow;
  readonly graph: JobGraph;
  readonly run: number;
  readonly storage: string;
  readonly storageOptions: StorageOptions;
  /** The storage, if it is open already: the session's from now on. */
  readonly opened?: SnapshotStorage | undefined;
  readonly retained: number;
  readonly merging: EntryMerging;
  readonly hasDeadLetterSink: boolean;
  readonly restorePoint: RestorePoint;
  readonly options: Omit<CoordinatorOptions, "epoch">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** The job has come to its end. */
  over(outcome: Outcome, reason: string | undefined): void;
  /** Somebody else leads: stop acting. */
  fenced(reason: string): void;
}

const tickMs = 50;
const listedSavepoints = 100;

export class LeaderSession {
  readonly epoch: number;
  readonly coordinator: Coordinator;
  readonly restoredFrom: string | null;
  readonly #parts: LeaderParts;
  readonly #store: CheckpointStore;
  readonly #execution: ExecutionStore;
  readonly #opened: readonly SnapshotStorage[];
  readonly #workers: WorkerRegistry;
  readonly #discovery: SplitDiscovery;
  readonly #steps: SnapshotSteps;
  readonly #rescales = new Map<number, (result: RescaleResult | Failure) => void>();
  #nextRequest = 1;
  #writing: Promise<void> = Promise.resolve();
  #cancelTick: (() => void) | undefined;
  #closed = false;

  private constructor(parts: LeaderParts, begun: Begun) {
    this.#parts = parts;
    this.epoch = begun.epoch;
    this.restoredFrom = begun.latest?.url ?? null;
    this.#store = begun.store;
    this.#execution = begun.execution;
    this.#opened = begun.opened;
    const { clock, log, graph, dataflow, options, random } = parts;
    const tell = (event: CoordinatorEvent): void => this.tell(event);
    this.#workers = new WorkerRegistry(tell, clock, log);
    this.#discovery = new SplitDiscovery({ dataflow, clock, log, tell, known: (uid) => this.coordinator.knownSplits(uid) });
    this.#steps = new SnapshotSteps({
      store: begun.store,
      graph,
      tell,
      subtasksOf: (uid) => this.#subtasksOf(uid),
      fenced: (reason) => this.#fenced(reason),
    });
    this.coordinator = new Coordinator(graph, { ...options, epoch: begun.epoch }, begun, random, clock.now());
  }

  /** Takes the job over. Rejects when the storage or the snapshot to start from is no good: then nothing has been started. */
  static async open(parts: LeaderParts): Promise<LeaderSession> {
    const opened: SnapshotStorage[] = [];
    try {
      const session = new LeaderSession(parts, await begin(parts, opened));
      parts.log.info("leading", { epoch: session.epoch, restoredFrom: session.restoredFrom ?? "nothing" });
      session.#tick();
      return session;
    } catch (error) {
      for (const storage of opened) await storage.close();
      throw error;
    }
  }

  /**
   * What a standby can do before it leads, so that it leads sooner: opens the storage, for `LeaderParts.opened`, and reads the newest checkpoint as a
   * restore does. A failure is told by the attempt to lead that comes later.
   */
  static async warm({
    storage: url,
    storageOptions,
    dataflow,
  }: Pick<LeaderParts, "storage" | "storageOptions" | "dataflow">): Promise<SnapshotStorage> {
    const storage = await openStorage(url, storageOptions);
    try {
      const store = CheckpointStore.open({ storage, jobName: dataflow.name, jobId: dataflow.name, planFingerprint: "" });
      const newest = await store.latest();
      if (newest !== undefined) await store.load(newest);
      return storage;
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  /** `saidAtMs`: when it introduced itself, by the clock, if it had to wait. */
  accept(hello: Hello, connection: WorkerConnection, saidAtMs: number = this.#parts.clock.now()): WorkerListener | Failure {
    if (hello.epoch > this.epoch) {
      this.#fenced(`${hello.taskManagerId} has served epoch ${hello.epoch}, this leader has ${this.epoch}`);
      return { code: "FENCED", message: "a later leader has taken over" };
    }
    return this.#workers.add(hello, connection, this.epoch, saidAtMs);
  }

  tell(event: CoordinatorEvent): void {
    if (this.#closed) return;
    for (const action of this.coordinator.handle(event, this.#parts.clock.now())) this.#act(action);
  }

  rescale(change: { readonly job?: number; readonly vertices?: Readonly<Record<string, number>> }): Promise<RescaleResult | Failure> {
    const requestId = this.#nextRequest++;
    return new Promise((resolve) => {
      this.#rescales.set(requestId, resolve);
      this.tell({ kind: "rescaleAsked", requestId, ...change });
    });
  }

  /** What became of a savepoint, also of one that an earlier leader made. */
  savepointResult(id: string): Promise<SavepointResult | undefined> {
    return this.#store.savepointResult(id);
  }

  /** The newest that there are in the storage. */
  savepointResults(): Promise<readonly SavepointResult[]> {
    return this.#store.savepointResults(listedSavepoints);
  }

  profile(taskManagerId: string, index: number, durationMs: number): Promise<object> {
    return this.#workers.profile(taskManagerId, index, durationMs);
  }

  /** Stops acting at once; slices go on under the next leader. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTick?.();
    this.#workers.close();
    for (const answer of this.#rescales.values())
      answer({ code: "NOT_LEADER", message: "this JobManager leads no longer; ask the new leader" });
    await this.#discovery.close();
    await this.#steps.settled();
    await this.#writing;
    await this.#store.close();
    for (const storage of this.#opened) await storage.close();
  }

  #tick(): void {
    // The next checkpoint begins when it is due, not at the look after that.
    const untilDueMs = Math.ceil(this.coordinator.state.checkpointDueMs - this.#parts.clock.now());
    const delayMs = untilDueMs > 0 ? Math.min(tickMs, untilDueMs) : tickMs;
    this.#cancelTick = this.#parts.clock.after(delayMs, () => {
      this.tell({ kind: "tick" });
      if (!this.#closed) this.#tick();
    });
  }

  #act(action: CoordinatorAction): void {
    switch (action.kind) {
      case "send":
      case "resetSlot":
        return this.#workers.act(action);
      case "discover":
        return this.#discovery.start(action.uid, action.generation, action.enumerator, action.known);
      case "stopDiscovery":
        return this.#discovery.stop(action.uid);
      case "publish":
      case "makeSavepoint":
      case "markCommitted":
        return this.#steps.take(action);
      case "writeRecord":
        this.#writing = this.#writing.then(() => this.#write(action));
        return;
      case "answerRescale":
        this.#rescales.get(action.requestId)?.(action.result);
        this.#rescales.delete(action.requestId);
        return;
      case "log":
        return this.#parts.log[action.level](action.message, action.fields);
      case "over":
        return this.#parts.over(action.outcome, action.reason);
    }
  }

  // Tried until it is written: nothing that needs it happens before.
  async #write(action: Extract<CoordinatorAction, { readonly kind: "writeRecord" }>): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        await this.#execution.write(action.record);
        this.tell({ kind: "recordWritten", record: action.record });
        return;
      } catch (error) {
        if (error instanceof MillraceError && error.code === "FENCED") return this.#fenced(error.message);
        this.#parts.log.warn("the execution record cannot be written", { reason: messageOf(error) });
        await new Promise<void>((resolve) => this.#parts.clock.after(Math.min(5000, 200 * 2 ** attempt), resolve));
      }
    }
  }

  #fenced(reason: string): void {
    if (!this.#closed) this.#parts.fenced(reason);
  }

  #subtasksOf(uid: string): number {
    for (const region of this.coordinator.state.regions) {
      const vertex = region.vertices.find((one) => one.uid === uid);
      if (vertex !== undefined) return vertex.parallelism;
    }
    return 0;
  }
}

interface Begun {
  readonly epoch: number;
  readonly store: CheckpointStore;
  readonly execution: ExecutionStore;
  readonly opened: readonly SnapshotStorage[];
  readonly record: Awaited<ReturnType<typeof ExecutionStore.open>>["record"];
  readonly latest: LatestSnapshot | undefined;
  readonly nextCheckpointId: number;
  readonly made: readonly SavepointResult[];
}

async function begin(parts: LeaderParts, opened: SnapshotStorage[]): Promise<Begun> {
  const { graph, dataflow, run, log } = parts;
  const storage = parts.opened ?? (await openStorage(parts.storage, parts.storageOptions));
  opened.push(storage);
  const store = CheckpointStore.open({
    storage,
    jobName: dataflow.name,
    jobId: dataflow.name,
    maxParallelism: graph.maxParallelism,
    planFingerprint: graph.fingerprint,
    retention: { count: parts.retained },
    merging: parts.merging,
    log,
  });
  const epoch = await store.acquireEpoch(run);
  // Beside each other: output waits for all of it. Both are over before anything is closed.
  const recorded = readRecord(storage, store, dataflow.name, epoch);
  const restored = restoreNewest(parts, store, opened);
  await Promise.allSettled([recorded, restored]);
  return { epoch, store, opened, ...(await recorded), latest: await restored, nextCheckpointId: store.nextCheckpointId };
}

async function readRecord(
  storage: SnapshotStorage,
  store: CheckpointStore,
  jobId: string,
  epoch: number,
): Promise<Pick<Begun, "execution" | "record" | "made">> {
  const { store: execution, record } = await ExecutionStore.open(storage, jobId, epoch);
  const results = await Promise.all((record?.savepoints ?? []).map(({ id }) => store.savepointResult(id)));
  return { execution, record, made: results.filter((result) => result !== undefined) };
}

async function restoreNewest(parts: LeaderParts, store: CheckpointStore, opened: SnapshotStorage[]): Promise<LatestSnapshot | undefined> {
  const ref = store.newest(parts.restorePoint.sinceRun) ?? (await initialSnapshot(parts, opened));
  return ref === undefined ? undefined : restore(parts, store, ref);
}

async function initialSnapshot(parts: LeaderParts, opened: SnapshotStorage[]): Promise<SnapshotRef | undefined> {
  const { location } = parts.restorePoint;
  if (location === undefined) return undefined;
  const ref = await openSnapshot(location, parts.storageOptions);
  opened.push(ref.storage);
  return ref;
}

async function restore(parts: LeaderParts, store: CheckpointStore, ref: SnapshotRef): Promise<LatestSnapshot> {
  const { dataflow, graph, options } = parts;
  const restored = await store.restore(ref, (found) => {
    const nodes = dataflow.nodes.map(({ uid, kind }) => ({ uid, kind }));
    if (parts.hasDeadLetterSink || found.uids.includes(deadLetterUid)) nodes.push({ uid: deadLetterUid, kind: "sink.dead-letters" });
    const { allowNonRestoredState } = options;
    checkRestore(found.manifest, nodes, { allowNonRestoredState, maxParallelism: graph.maxParallelism }, found.url);
  });
  const sources = new Map<string, RestoredSource>();
  for (const node of dataflow.nodes) {
    const source = node.body.kind === "source" ? restored.source(node.uid) : undefined;
    if (source !== undefined) sources.set(node.uid, source);
  }
  return {
    checkpointId: restored.checkpointId,
    url: restored.url,
    ...(ref.sha256 === undefined ? {} : { sha256: ref.sha256 }),
    committed: restored.committed,
    own: restored.manifest.kind === "checkpoint" && restored.url.startsWith(`${ref.storage.url}/${dataflow.name}/`),
    sources,
  };
}
