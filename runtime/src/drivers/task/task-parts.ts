// What a task is built from: the dataflow, its place in the job, and what a snapshot gives back to each instance.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import type { Sink } from "../../core/ports/sink.ts";
import type { StateBackendFactory, StoredState } from "../../core/ports/state-backend.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import type { BadRowOptions } from "./bad-row-policy.ts";
import type { Placement } from "./placement.ts";

/** What a snapshot holds for the instances of a task. */
export interface TaskRestore {
  readonly checkpointId: number;
  /** True when the snapshot records that the sinks have committed it. */
  readonly committed: boolean;
  keyedState(uid: string, keyGroups: KeyGroupRange): StoredState | undefined;
  operatorState(uid: string, list: string, subtask: number, parallelism: number): readonly OperatorStateEntry[];
  sinkStates(uid: string): readonly Uint8Array[] | undefined;
  /** The least event time of the operator's instances, ms; -Infinity when there was none. */
  watermarkMs(uid: string): number;
}

export interface TaskParts {
  readonly jobName: string;
  readonly dataflow: Dataflow;
  readonly parallelism: number;
  /** Other numbers of instances of single vertices, by uid. */
  readonly vertexParallelism?: Readonly<Record<string, number>>;
  readonly maxParallelism: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly stateBackend: StateBackendFactory;
  /** A folder of this run's own for state on disk. */
  readonly workDirectory: string;
  readonly checkpointIntervalMs: number;
  /** What sources and sinks of this task may hold of bytes on their way, together; without it each has its own default. */
  readonly bufferBytes?: number;
  readonly badRows: BadRowOptions;
  /** Where dead letters go; undefined for the log. */
  readonly deadLetterSink?: Sink;
  /** Which instances the task has; all of them where it is not given. */
  readonly placement?: Placement;
  /** The dead-letter sink's instances in this task: one where it is not given. */
  readonly deadLetters?: { readonly subtasks: readonly number[]; readonly parallelism: number };
  readonly restore?: TaskRestore;
  /** Called from any operator when the loop has to look again. */
  readonly wake: () => void;
}

/** The uid under which the dead-letter sink keeps its state. */
export const deadLetterUid = "dead-letters";
