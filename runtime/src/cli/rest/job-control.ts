// What the REST API shows and triggers: implemented by the single process and by a JobManager.
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";

export interface SavepointAnswer {
  readonly id: string;
  readonly mode: SavepointMode | null;
  readonly phase: "running" | "completed" | "failed";
  readonly location: string | null;
  readonly sizeBytes: number | null;
  readonly checkpointId: number | null;
  /** Of the savepoint's manifest. */
  readonly formatVersion: number | null;
  /** When the checkpoint under it was complete: nothing that happened later is in it. */
  readonly cutAtMs: number | null;
  readonly completedAtMs: number | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export interface RescaleChange {
  readonly job?: number;
  readonly vertices?: Readonly<Record<string, number>>;
}

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

export interface ExceptionsAnswer {
  readonly history: readonly object[];
  readonly poison: readonly object[];
  /** Restarts, and when each of their steps was done. */
  readonly recoveries: readonly object[];
}

/** Calls that need the leader reject with NOT_LEADER elsewhere. */
export interface JobControl {
  job(): object;
  checkpoints(): readonly CheckpointRecord[];
  exceptions(): ExceptionsAnswer;
  config(): object;
  /** The process does its work. */
  healthy(): boolean;
  /** It can take requests, or take over. */
  ready(): boolean;
  savepoint(id: string, mode: SavepointMode): Promise<SavepointAnswer>;
  /** Settles when the savepoint is not under way any more, at the latest after `waitMs`. */
  savepointSettled(id: string, waitMs: number): Promise<void>;
  savepointById(id: string): Promise<SavepointAnswer | undefined>;
  /** Those that this process or the storage knows of, at most some hundreds. */
  savepoints(): Promise<readonly SavepointAnswer[]>;
  /** Ends the job with a last checkpoint, without a savepoint. */
  stop(): void;
  rescale(change: RescaleChange): Promise<object>;
  /** A CPU profile of the thread that runs slot `slot`, or of this process for slot 0 where there are no slots. */
  profile(slot: number, durationMs: number): Promise<object>;
  metrics(): Promise<MetricsText>;
  /** The order to start, for a run that stands by; undefined where nothing ever does. */
  start?(body: unknown): void;
  /** The REST URL of the leader, when that is somebody else. */
  leader(): string | undefined;
}
