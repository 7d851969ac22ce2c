// The sink contract: a writer per instance, and the three steps that make its output exactly-once.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Batch } from "../batch/batch.ts";
import type { Schema } from "../schema/schema.ts";

/** Row kinds a sink can take: inserts only, upserts and deletes by key, or full changelogs with update-before. */
export type ChangelogMode = "append" | "upsert" | "retract";

export type Delivery = "at-least-once" | "exactly-once";

/**
 * Writes the rows of one sink instance. The order of calls for checkpoint n, which drivers keep under every failure:
 * `write`*, `prepare(n)` at the barrier -> the returned bytes are part of snapshot n -> snapshot n is published ->
 * `commit(n)`. After a restart from snapshot n: `restore` with the bytes of n, which finishes commit n when it had not happened.
 * Output of the epochs after n that was written but not prepared must never become visible.
 */
export interface SinkWriter {
  /** Figures that are read for status and metrics, by name; milliseconds end in `_ms`. */
  readonly gauges?: Readonly<Record<string, () => number>>;
  /** Takes rows. Synchronous: it buffers, and asks for patience by `ready`. The batch is valid during the call. */
  write(batch: Batch): void;
  /** Undefined while there is room; else a promise that settles when there is: the driver hands over nothing before. */
  ready(): Promise<void> | undefined;
  /** Pushes out what lingers (called at flush intervals and when the source is idle). */
  flush(): Promise<void>;
  /**
   * Closes the epoch of checkpoint `checkpointId`: synchronously cuts it off, then settles with what has to be stored with the
   * checkpoint to be able to commit later, once everything before the cut is safe outside (at-least-once: acknowledged).
   */
  prepare(checkpointId: number): Promise<Uint8Array>;
  /** Snapshot `checkpointId` is complete: makes its output visible. Idempotent; retried by the driver until it succeeds. */
  commit(checkpointId: number): Promise<void>;
  /** The job stops without a further checkpoint, or failed: drop what is not prepared. */
  close(): Promise<void>;
}

export interface SinkContext {
  readonly jobName: string;
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The interval of checkpoints, ms: for checks against transaction timeouts. Infinity when there are none. */
  readonly checkpointIntervalMs: number;
  /** What a writer may hold of bytes that are not written out, where its options say nothing: its share of the process's memory. */
  readonly bufferBytes?: number;
  /**
   * What `prepare` stored at the restored checkpoint, of all instances of the previous run (the parallelism may have changed);
   * `committed` tells whether the snapshot records that its commit has happened, in which case nothing may be sent again.
   */
  readonly restored?: { readonly checkpointId: number; readonly committed: boolean; readonly states: readonly Uint8Array[] };
}

/** A connector's sink. A plain value: it opens nothing until a driver asks. */
export interface Sink {
  readonly connector: string;
  /** What the plan prints. Secrets are left out. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly accepts: ChangelogMode;
  readonly delivery: Delivery;
  /** Opens one instance. Instance 0 finishes the commit of the restored checkpoint before it resolves. */
  openWriter(context: SinkContext, schema: Schema): Promise<SinkWriter>;
}
