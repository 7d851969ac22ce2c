// A JobManager: stands by until the lease is its own, then leads the job for as long as it has it.
import type { Clock } from "../../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { SavepointMode } from "../../continuous/job-run.ts";
import { Elector, type ElectionTimes } from "../leadership/elector.ts";
import type { LeaderAddress } from "../leadership/leader-address.ts";
import type { LeaseStore } from "../leadership/lease.ts";
import type { Failure, Outcome, RescaleResult } from "../coordinator/types.ts";
import type { HeartbeatOptions } from "../rpc/connection.ts";
import { type Hello, type RpcServer, startRpcServer, type WorkerConnection, type WorkerListener } from "../rpc/rpc-server.ts";
import type { TlsSource } from "../../tls/tls-files.ts";
import { type LeaderParts, LeaderSession, type RestorePoint } from "./leader-session.ts";
import { WaitingWorkers } from "./waiting-workers.ts";

export interface JobManagerParts {
  readonly holder: string;
  /** The host under which others reach this process. */
  readonly advertise: string;
  /** Where the REST API is, by the time that this process may lead. */
  readonly restUrl: () => string;
  readonly rpc: {
    readonly host: string;
    readonly port: number;
    readonly tls: TlsSource | undefined;
    readonly token: (() => string | undefined) | undefined;
    readonly heartbeats: HeartbeatOptions;
  };
  readonly lease: LeaseStore;
  readonly times: ElectionTimes;
  readonly session: Omit<LeaderParts, "over" | "fenced" | "restorePoint">;
  /** What to start from, when it is known: a run that stands by has its leader before it is told. Undefined: it is stopped before. */
  readonly restorePoint: Promise<RestorePoint | undefined>;
  /** The job has come to its end under this leader, or had before. */
  readonly over: (outcome: Outcome, reason: string | undefined) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

export interface SavepointView {
  readonly id: string;
  readonly mode: SavepointMode | null;
  readonly phase: "running" | "completed" | "failed";
  readonly location: string | null;
  readonly sizeBytes: number | null;
  readonly checkpointId: number | null;
  readonly formatVersion: number | null;
  readonly cutAtMs: number | null;
  readonly completedAtMs: number | null;
  readonly failure: Failure | null;
}

/** Between two tries to begin leading, ms: the storage may be away for a while. */
const retryMs = 2000;
/** What no second try can mend. */
const fatalCodes: ReadonlySet<string> = new Set([
  "SAVEPOINT_UID_UNUSED",
  "SAVEPOINT_KIND_MISMATCH",
  "SAVEPOINT_MAX_PARALLELISM",
  "SNAPSHOT_MISSING",
  "SNAPSHOT_CORRUPT",
  "EXECUTION_RECORD",
  "STORAGE_DENIED",
  "STORAGE_MISSING",
  "OPTION_INVALID",
  "DEPENDENCY_MISSING",
]);

export class JobManager {
  readonly #parts: JobManagerParts;
  readonly #server: RpcServer;
  readonly #elector: Elector;
  #session: LeaderSession | undefined;
  #changing: Promise<void> = Promise.resolve();
  #wanted = false;
  /** What to start from is not known yet, or is being read: TaskManagers that come meanwhile wait for it. */
  #opening = true;
  /** The storage, until the first session takes it. */
  #opened: SnapshotStorage | undefined;
  readonly #waiting = new WaitingWorkers();
  #stopped = false;
  #fatal: Failure | undefined;
  #onFatal: (error: unknown) => void = () => {};
  /** Rejects when this process cannot do its work, whoever helps. */
  readonly failed: Promise<never>;

  private constructor(parts: JobManagerParts, server: RpcServer) {
    this.#parts = parts;
    this.#server = server;
    this.failed = new Promise<never>((_, reject) => {
      this.#onFatal = reject;
    });
    this.failed.catch(() => {});
    const address: LeaderAddress = { rpc: `${parts.advertise}:${server.port}`, rest: parts.restUrl() };
    const { holder, lease, times, clock, random, log } = parts;
    this.#elector = new Elector({
      holder,
      address,
      store: lease,
      times,
      clock,
      random,
      log,
      lead: () => {
        log.info("lease taken");
        this.#change(true);
      },
      lost: (reason) => {
        log.warn("leadership lost", { reason });
        this.#change(false);
      },
    });
  }

  static async start(parts: JobManagerParts): Promise<JobManager> {
    const { rpc, clock, log } = parts;
    // Connections come in only after the constructor has run: the port is not published before.
    const late: { manager?: JobManager } = {};
    const server = await startRpcServer({
      ...rpc,
      clock,
      log,
      accept: (hello, connection) => late.manager?.accept(hello, connection) ?? { code: "NOT_LEADER", message: "is starting" },
    });
    const manager = new JobManager(parts, server);
    late.manager = manager;
    manager.#opened = await LeaderSession.warm(parts.session).catch((error: unknown) => {
      log.warn("the snapshot storage is not there yet", { reason: messageOf(error) });
      return undefined;
    });
    manager.#elector.start();
    return manager;
  }

  /** The session, when this process leads and has read all that it needs. */
  get session(): LeaderSession | undefined {
    return this.#session;
  }

  get isLeading(): boolean {
    return this.#elector.isLeading;
  }

  get leader(): LeaderAddress | undefined {
    return this.#elector.leader;
  }

  get rpcPort(): number {
    return this.#server.port;
  }

  get fatal(): Failure | undefined {
    return this.#fatal;
  }

  /** Tells about a savepoint, also of one that was made under an earlier leader; undefined when there is none. */
  async savepoint(id: string): Promise<SavepointView | undefined> {
    const session = this.#leading();
    const known = session.coordinator.state.savepoints.get(id);
    const result = known?.result ?? (await session.savepointResult(id));
    if (known === undefined && result === undefined) return undefined;
    const recorded = session.coordinator.state.record.savepoints.some((one) => one.id === id);
    // A stop is completed when the end is written down, not when its copy is made.
    const ends = known !== undefined && known.intent.mode !== "keep" && session.coordinator.state.durable?.outcome === undefined;
    return viewOf(id, known?.intent.mode ?? null, recorded || ends ? undefined : result, known?.failure, result);
  }

  /** Those that were asked for under this leader, and the newest of those in the storage. */
  async savepoints(): Promise<readonly SavepointView[]> {
    const session = this.#leading();
    const stored = await session.savepointResults();
    const ids = new Set([...session.coordinator.state.savepoints.keys(), ...stored.map(({ id }) => id)]);
    const views: SavepointView[] = [];
    for (const id of ids) {
      const result = stored.find((one) => one.id === id);
      const known = session.coordinator.state.savepoints.has(id);
      const view = known || result === undefined ? await this.savepoint(id) : viewOf(id, null, result, undefined, result);
      if (view !== undefined) views.push(view);
    }
    return views;
  }

  async askSavepoint(id: string, mode: SavepointMode): Promise<SavepointView> {
    const session = this.#leading();
    const before = await this.savepoint(id);
    if (before !== undefined) return before;
    const { record, savepoints } = session.coordinator.state;
    if (record.outcome !== undefined) {
      throw new MillraceError("JOB_NOT_RUNNING", "the job", `has ended (${record.outcome})`, "read its last checkpoint");
    }
    session.tell({ kind: "savepointAsked", id, mode });
    return viewOf(id, mode, undefined, savepoints.get(id)?.failure, undefined);
  }

  stopJob(): void {
    this.#leading().tell({ kind: "stopAsked" });
  }

  rescale(change: { readonly job?: number; readonly vertices?: Readonly<Record<string, number>> }): Promise<RescaleResult | Failure> {
    return this.#leading().rescale(change);
  }

  /** Leaves: slices go on under the next leader. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#change(false);
    await this.#changing;
    await this.#elector.stop();
    await this.#server.close();
    await this.#opened?.close();
    await this.#parts.lease.close();
  }

  accept(hello: Hello, connection: WorkerConnection): WorkerListener | (Failure & { readonly leader?: string }) {
    const { dataflow, run } = this.#parts.session;
    if (hello.job !== dataflow.name || hello.run !== run) {
      return {
        code: "WRONG_RUN",
        message: `this is run ${run} of job ${dataflow.name}, the TaskManager belongs to run ${hello.run} of ${hello.job}`,
      };
    }
    const session = this.#session;
    if (session !== undefined) return session.accept(hello, connection);
    const { leader } = this;
    if (this.isLeading && this.#opening) return this.#waiting.add(hello, connection, this.#parts.clock.now());
    return { code: "NOT_LEADER", message: "does not lead", ...(leader === undefined || this.isLeading ? {} : { leader: leader.rpc }) };
  }

  #leading(): LeaderSession {
    if (this.#session !== undefined) return this.#session;
    throw new MillraceError("NOT_LEADER", "this JobManager", "does not lead the job", "ask the leader");
  }

  // One change after the other: a session is closed before the next one opens.
  #change(lead: boolean): void {
    this.#wanted = lead && !this.#stopped;
    if (!this.#wanted) this.#waiting.dismiss();
    this.#changing = this.#changing
      .then(() => this.#follow())
      .catch((error: unknown) => this.#parts.log.error("leadership could not be changed", { reason: messageOf(error) }));
  }

  async #follow(): Promise<void> {
    if (!this.#wanted) {
      const session = this.#session;
      this.#session = undefined;
      await session?.close();
      return;
    }
    const restorePoint = await this.#parts.restorePoint;
    if (restorePoint === undefined) return;
    while (this.#wanted && this.#session === undefined) {
      this.#opening = true;
      const opened = this.#opened;
      this.#opened = undefined;
      try {
        this.#session = await LeaderSession.open({
          ...this.#parts.session,
          opened,
          restorePoint,
          over: this.#parts.over,
          fenced: (reason) => {
            this.#parts.log.warn("fenced: a later leader has taken over", { reason });
            this.#change(false);
          },
        });
      } catch (error) {
        this.#failedToLead(error);
        // Whoever runs slices must know that nobody leads: it may be for long.
        this.#opening = false;
        this.#waiting.dismiss();
        await new Promise<void>((resolve) => this.#parts.clock.after(retryMs, resolve));
      }
    }
    this.#opening = false;
    const session = this.#session;
    if (session !== undefined) this.#waiting.admit((hello, connection, saidAtMs) => session.accept(hello, connection, saidAtMs));
    if (!this.#wanted) await this.#follow();
  }

  #failedToLead(error: unknown): void {
    const code = isMillraceError(error) ? error.code : "INTERNAL";
    this.#fatal = { code, message: messageOf(error) };
    this.#parts.log.error("cannot lead yet", { code, reason: messageOf(error) });
    if (fatalCodes.has(code)) this.#onFatal(error);
  }
}

function viewOf(
  id: string,
  mode: SavepointMode | null,
  completed: SavepointResult | undefined,
  failure: Failure | undefined,
  made: SavepointResult | undefined,
): SavepointView {
  return {
    id,
    mode,
    phase: failure !== undefined ? "failed" : completed !== undefined ? "completed" : "running",
    location: made?.url ?? null,
    sizeBytes: made?.totalBytes ?? null,
    checkpointId: made?.checkpointId ?? null,
    formatVersion: made?.formatVersion ?? null,
    cutAtMs: made?.cutAtMs ?? null,
    completedAtMs: made?.completedAtMs ?? null,
    failure: failure ?? null,
  };
}
