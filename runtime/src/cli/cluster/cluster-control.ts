// The REST API's view of a JobManager: answers when it leads, else says who does.
import { MillraceError } from "../../base/errors.ts";
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";
import { checkpointHistory, type ClusterStatus, clusterStatus } from "../../drivers/cluster/leader/cluster-status.ts";
import type { JobManager } from "../../drivers/cluster/leader/job-manager.ts";
import type { LeaderSession } from "../../drivers/cluster/leader/leader-session.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import type { ExceptionsAnswer, JobControl, MetricsText, RescaleChange, SavepointAnswer } from "../rest/job-control.ts";
import { publicConfig } from "../run/run-config.ts";
import type { ClusterConfig } from "./cluster-config.ts";
import { parseOrder, Standby } from "./standby.ts";

const pollMs = 50;

export class ClusterControl implements JobControl {
  readonly #manager: () => JobManager | undefined;
  readonly #config: ClusterConfig;
  readonly #dataflow: Dataflow;
  readonly #startedAtMs = Date.now();
  #standby: Standby | undefined;
  #metrics: (() => Promise<MetricsText>) | undefined;

  constructor(manager: () => JobManager | undefined, config: ClusterConfig, dataflow: Dataflow) {
    this.#manager = manager;
    this.#config = config;
    this.#dataflow = dataflow;
  }

  useMetrics(metrics: () => Promise<MetricsText>): void {
    this.#metrics = metrics;
  }

  useStandby(standby: Standby | undefined): void {
    this.#standby = standby;
  }

  /** A run that started without an order takes one for itself as heard. */
  start(body: unknown): void {
    (this.#standby ?? new Standby(this.#config.runNumber)).accept(parseOrder(body));
  }

  /** Undefined where this process does not lead. */
  status(): ClusterStatus | undefined {
    const session = this.#manager()?.session;
    return session === undefined ? undefined : clusterStatus(session.coordinator.state, this.#dataflow, toWallMs);
  }

  job(): object {
    if (this.#standby?.isWaiting === true) {
      return {
        name: this.#dataflow.name,
        run: this.#config.runNumber,
        leader: false,
        state: "standby",
        // Then it has looked at the storage, takes part in the election and hears TaskManagers.
        prepared: this.#manager() !== undefined,
        startedAtMs: this.#startedAtMs,
        parallelism: this.#config.run.parallelism,
        maxParallelism: this.#config.run.maxParallelism,
        restarts: 0,
        lastFailure: null,
        lastCheckpoint: null,
      };
    }
    const session = this.#session();
    return {
      name: this.#dataflow.name,
      run: this.#config.runNumber,
      leader: true,
      prepared: true,
      startedAtMs: this.#startedAtMs,
      maxParallelism: this.#config.run.maxParallelism,
      restoredFrom: session.restoredFrom,
      ...clusterStatus(session.coordinator.state, this.#dataflow, toWallMs),
    };
  }

  checkpoints(): readonly CheckpointRecord[] {
    return checkpointHistory(this.#session().coordinator.state, toWallMs);
  }

  exceptions(): ExceptionsAnswer {
    const { exceptions, recoveries } = this.#session().coordinator.state;
    const { history, poison } = exceptions;
    return {
      history: history.map((one) => ({ ...one, atMs: toWallMs(one.atMs) })),
      poison: poison.map((one) => ({ ...one, lastAtMs: toWallMs(one.lastAtMs) })),
      recoveries: recoveries.history.map((one) => ({
        ...one,
        detectedAtMs: toWallMs(one.detectedAtMs),
        cancelledAtMs: wallOrNull(one.cancelledAtMs),
        deployedAtMs: wallOrNull(one.deployedAtMs),
        restoredAtMs: wallOrNull(one.restoredAtMs),
        runningAtMs: wallOrNull(one.runningAtMs),
      })),
    };
  }

  config(): object {
    const { run, runNumber, leadership, heartbeats } = this.#config;
    return { ...publicConfig(run), run: runNumber, leadership, heartbeats };
  }

  healthy(): boolean {
    return true;
  }

  ready(): boolean {
    if (this.#standby?.isWaiting === true) return true;
    const manager = this.#manager();
    // A standby is ready to take over; a leader once it has read what it leads from.
    return manager !== undefined && (!manager.isLeading || manager.session !== undefined);
  }

  savepoint(id: string, mode: SavepointMode): Promise<SavepointAnswer> {
    return this.#leading().askSavepoint(id, mode);
  }

  savepointById(id: string): Promise<SavepointAnswer | undefined> {
    return this.#leading().savepoint(id);
  }

  savepoints(): Promise<readonly SavepointAnswer[]> {
    return this.#leading().savepoints();
  }

  async savepointSettled(id: string, waitMs: number): Promise<void> {
    const untilMs = performance.now() + waitMs;
    while (performance.now() < untilMs && (await this.savepointById(id))?.phase === "running") {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  stop(): void {
    this.#leading().stopJob();
  }

  async rescale(change: RescaleChange): Promise<object> {
    const result = await this.#leading().rescale(change);
    if ("code" in result) {
      const [subject = "the job", ...rest] = result.message.split(": ");
      const [problem = "", next = "see /v1/job"] = rest.join(": ").split("; ");
      throw new MillraceError(result.code, subject, problem, next);
    }
    return result;
  }

  profile(slot: number, durationMs: number): Promise<object> {
    const session = this.#session();
    const physical = session.coordinator.state.pool.at(slot);
    if (physical === undefined)
      throw new MillraceError("NOT_FOUND", `slot ${slot}`, "the job has no such slot now", "see /v1/job for them");
    return session.profile(physical.taskManagerId, physical.index, durationMs);
  }

  metrics(): Promise<MetricsText> {
    return this.#metrics?.() ?? Promise.resolve({ contentType: "text/plain", text: "" });
  }

  leader(): string | undefined {
    const manager = this.#manager();
    return manager?.isLeading === true ? undefined : manager?.leader?.rest;
  }

  #leading(): JobManager {
    this.#session();
    return this.#manager() as JobManager;
  }

  #session(): LeaderSession {
    const session = this.#manager()?.session;
    if (session !== undefined) return session;
    const fatal = this.#manager()?.fatal;
    if (this.#manager()?.isLeading === true && fatal !== undefined) {
      throw new MillraceError("NOT_LEADER", "this JobManager", `cannot lead yet: ${fatal.message}`, "it is tried again");
    }
    throw new MillraceError("NOT_LEADER", "this JobManager", "does not lead the job", "ask the leader");
  }
}

/** Coordinators count steady time; people read times of day. */
function toWallMs(ms: number): number {
  return Math.round(Date.now() - performance.now() + ms);
}

function wallOrNull(ms: number | null): number | null {
  return ms === null ? null : toWallMs(ms);
}
