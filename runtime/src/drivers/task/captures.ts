// What a checkpoint takes from the instances of a task.
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { StateCapture } from "../../core/ports/state-backend.ts";
import type { SourceSplit } from "../../core/ports/source.ts";
import type { CapturedList } from "./operator-state-registry.ts";

export interface OperatorCapture {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly keyed: StateCapture | undefined;
  readonly lists: readonly CapturedList[];
  readonly watermarkMs: number;
}

export interface SourceCapture {
  readonly uid: string;
  readonly subtask: number;
  readonly splits: readonly SourceSplit[];
  readonly splitWatermarks: ReadonlyMap<string, number>;
  /** Splits that were read to their end since the task was built. */
  readonly finished: readonly string[];
}

export interface SinkCapture {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  /** What `prepare` gives: the cut is made, the rest settles in the background. */
  readonly prepared: Promise<Uint8Array>;
  /** Rows that were on their way to it. */
  readonly lists: readonly CapturedList[];
}

/** Everything that a checkpoint takes from a task: at one instant, or from each instance when the barrier has come to it. */
export interface TaskCapture {
  readonly operators: readonly OperatorCapture[];
  readonly sources: readonly SourceCapture[];
  readonly sinks: readonly SinkCapture[];
}

/** The state that was captured goes nowhere: nobody stores snapshots. */
export function releaseCapture({ operators }: TaskCapture): void {
  for (const { keyed } of operators) keyed?.release?.();
}
