// What a process of an application tells of itself over HTTP; docs/reference/embedded-rest.md explains every member.
import type { EmbeddedState } from "../app-state.ts";
import type { TaskState, TaskStatus } from "../task-set.ts";

export interface TaskView {
  readonly id: string;
  readonly state: TaskState;
  /** Records of its inputs that wait; null where that is not known yet. */
  readonly lag: number | null;
  readonly restoredRecords: number;
  readonly restoredBytes: number;
  /** Records of its changelogs that are still to be read. */
  readonly remainingRecords: number;
}

export interface AppView {
  readonly applicationId: string;
  readonly processId: string;
  /** The name under which a process that starts again has its tasks back; null for one without. */
  readonly instanceId: string | null;
  readonly state: EmbeddedState;
  /** The group has given it its tasks, and all of them run and have their state. */
  readonly ready: boolean;
  /** Tells dataflows apart that cannot share the group; null before the topics were looked at. */
  readonly fingerprint: string | null;
  /** How often the application was restored from a savepoint. */
  readonly generation: number;
  /** Tasks of the whole application: more processes than that have nothing to do. */
  readonly totalTasks: number;
  readonly tasks: readonly TaskView[];
  /** Tasks of this process that do not run yet. */
  readonly restoringTasks: number;
  /** Records that wait for the tasks of this process; null while one of them does not know. */
  readonly lag: number | null;
  /** Copies of other processes' state, by task: how many records each is behind. */
  readonly standbys: Readonly<Record<string, number>>;
}

export interface AppFacts {
  readonly applicationId: string;
  readonly processId: string;
  readonly instanceId: string | null;
  readonly state: EmbeddedState;
  readonly fingerprint: string | undefined;
  readonly totalTasks: number;
  readonly generation: number;
  readonly tasks: readonly TaskStatus[];
  readonly standbys: Readonly<Record<string, number>>;
}

const known = (value: number): number | null => (Number.isFinite(value) ? value : null);

export function viewOf({ tasks, fingerprint, ...facts }: AppFacts): AppView {
  return {
    ...facts,
    ready: facts.state === "running",
    fingerprint: fingerprint ?? null,
    tasks: tasks.map(({ id, state, lag, restore }) => ({
      id,
      state,
      lag: known(lag),
      restoredRecords: restore.records,
      restoredBytes: restore.bytes,
      remainingRecords: restore.remaining,
    })),
    restoringTasks: tasks.filter(({ state }) => state === "opening").length,
    // A task that is being opened does not know its lag, so neither does the process.
    lag: known(tasks.reduce((sum, task) => sum + task.lag, 0)),
  };
}
