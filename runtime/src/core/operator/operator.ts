// The operator contract: what every step of a dataflow is, under every driver.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Batch } from "../batch/batch.ts";
import type { Output } from "../batch/rows-builder.ts";
import type { OperatorState } from "../ports/operator-state.ts";
import type { KeyedState } from "../ports/state.ts";
import type { BadRow } from "./bad-rows.ts";

/** A range of key groups `[from, to)`. */
export interface KeyGroupRange {
  readonly from: number;
  readonly to: number;
}

/** What a driver gives an operator. Everything outside of the record path goes through it, so an operator knows no driver. */
export interface OperatorContext {
  readonly uid: string;
  /** This instance among `parallelism` of them. */
  readonly subtask: number;
  readonly parallelism: number;
  readonly maxParallelism: number;
  /** The key groups that this instance owns. */
  readonly keyGroups: KeyGroupRange;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
  /** The operator's output, or a side output by its name. */
  output(name?: string): Output;
  /** State per key; throws where the operator's input is not keyed. */
  readonly keyed: KeyedState;
  /** State per operator instance: what is not keyed. */
  readonly state: OperatorState;
  /** Hands a row that the user's function or a format refused to the job's dead letters, or fails the job: as `onBadRecord` says. */
  badRow(bad: BadRow): void;
  /** Sends a watermark to all outputs: for operators with `holdsWatermarks`. */
  forwardWatermark(timeMs: number): void;
  /** Event time as far as this instance knows it, ms; -Infinity before the first watermark. */
  watermarkMs(): number;
  /** Runs `task` on this operator's thread between two batches: how the completion of asynchronous work comes back. */
  enqueue(task: () => void): void;
  /** Asks the driver to hand no further batches to this task until the returned function is called: back pressure. */
  pause(): () => void;
}

export interface OperatorMetrics {
  /** Adds to a counter; the name is documented in docs/reference/metrics.md. */
  count(name: "late_records_dropped" | "records_filtered" | "retries" | "timeouts", by: number): void;
  /** A value that is read when metrics are. */
  gauge(name: string, read: () => number): void;
}

/**
 * One step of a dataflow. All calls come from one thread, one at a time, and are synchronous.
 * Order within an instance: batches and watermarks in the order they arrived, `prepareSnapshot` at a barrier, `end` last.
 */
export interface Operator {
  /** Rows from input number `input` (0 for the only one). The batch is valid during the call. */
  process(batch: Batch, input: number): void;
  /** Event time on all inputs has reached `timeMs`: emit what that closes. The driver forwards the watermark afterwards. */
  onWatermark?(timeMs: number): void;
  /** Processing time has reached `nowMs`; called when `nextWakeMs` is due. */
  onProcessingTime?(nowMs: number): void;
  /** When `onProcessingTime` is wanted next, ms since the epoch; Infinity for never. Read after every call. */
  nextWakeMs?(): number;
  /** A barrier passes: rows held back for batching must go out now; what stays must be in state. */
  prepareSnapshot?(): void;
  /** All inputs have ended and the final watermark has passed. What is pending asynchronously keeps `busy` true. */
  end?(): void;
  /** True while asynchronous work is under way: the driver waits for it before a drain ends. */
  busy?(): boolean;
  /** True for an operator that forwards watermarks itself, by `context.forwardWatermark`, once the rows before them are done. */
  readonly holdsWatermarks?: boolean;
  /** Frees what the operator holds; called once, also after a failure. */
  close?(): void;
}

export type OperatorFactory = (context: OperatorContext) => Operator;
