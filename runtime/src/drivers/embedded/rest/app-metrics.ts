// Prometheus metrics of a process of an application, read from its view and its tasks when they are scraped.
import type { EmbeddedState } from "../app-state.ts";
import type { TaskFigures } from "../task/task-figures.ts";
import type { AppView } from "./app-view.ts";

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** What only rises, over all tasks that the process has had. */
export interface AppCounts {
  readonly rebalances: number;
  readonly taskFailures: number;
}

export interface MetricsSource {
  view(): AppView;
  figures(): { readonly tasks: readonly TaskFigures[]; readonly counts: AppCounts };
}

const states: readonly EmbeddedState[] = ["created", "rebalancing", "restoring", "running", "error", "closed"];

/** A function that renders the metrics; docs/reference/metrics.md lists their names. */
export async function openAppMetrics(source: MetricsSource): Promise<() => Promise<MetricsText>> {
  const { Counter, Gauge, Registry, collectDefaultMetrics } = await import("prom-client");
  const registry = new Registry();
  registry.setDefaultLabels({ application_id: source.view().applicationId });
  collectDefaultMetrics({ register: registry });
  const made: { reset(): void }[] = [];
  const gauge = (name: string, help: string, ...labelNames: string[]): InstanceType<typeof Gauge> => {
    const one = new Gauge({ name: `millrace_${name}`, help, labelNames, registers: [registry] });
    made.push(one);
    return one;
  };
  const counter = (name: string, help: string, ...labelNames: string[]): InstanceType<typeof Counter> => {
    const one = new Counter({ name: `millrace_${name}`, help, labelNames, registers: [registry] });
    made.push(one);
    return one;
  };
  const state = gauge("embedded_state", "1 for the state that the process is in", "state");
  const tasks = gauge("embedded_tasks", "Tasks of this process by state", "state");
  const lag = gauge("embedded_lag_records", "Records of a task's inputs that wait", "task");
  const remaining = gauge("embedded_restore_remaining_records", "Records of changelogs that a task still has to read", "task");
  const restored = counter("embedded_restored_bytes_total", "Bytes that were read from changelogs to open a task", "task");
  const standbys = gauge("embedded_standby_lag_records", "How far a copy of another process's state is behind", "task");
  const rebalances = counter("embedded_rebalances_total", "Assignments that the group has given this process");
  const failures = counter("embedded_task_failures_total", "Tasks that failed, and were begun again or ended the process");
  const commits = counter("embedded_commits_total", "Commits of a task since it was opened here", "task");
  const commitSeconds = gauge("embedded_last_commit_seconds", "How long the last commit of a task took", "task");
  const rowsIn = counter("rows_in_total", "Rows taken in by an operator instance since its task was opened here", "uid", "subtask");
  const rowsOut = counter("rows_out_total", "Rows given out by an operator instance since its task was opened here", "uid", "subtask");
  const watermark = gauge("watermark_seconds", "Event time reached by an operator instance, seconds since the epoch", "uid", "subtask");
  const events = counter("operator_events_total", "Events an operator counts, such as late_records_dropped", "uid", "subtask", "event");
  const bytes = gauge("state_bytes", "Bytes of keyed state", "place");
  const entries = gauge("state_entries", "Entries of keyed state");
  const bad = counter("bad_records_total", "Records that could not be processed, of the tasks that are here");

  const observe = ({ taskId, partition, instances, badRecords, state: size, ...commit }: TaskFigures): void => {
    commits.inc({ task: taskId }, commit.commits);
    commitSeconds.set({ task: taskId }, commit.commitMs / 1000);
    bytes.inc({ place: "memory" }, size.memoryBytes);
    bytes.inc({ place: "disk" }, size.diskBytes);
    entries.inc(size.entries);
    bad.inc(badRecords);
    for (const { uid, watermarkMs, counts, ...rows } of instances) {
      const labels = { uid, subtask: String(partition) };
      rowsIn.inc(labels, rows.rowsIn);
      rowsOut.inc(labels, rows.rowsOut);
      if (watermarkMs !== null) watermark.set(labels, watermarkMs / 1000);
      for (const [event, value] of Object.entries(counts)) events.inc({ ...labels, event }, value);
    }
  };

  return async () => {
    // What a task tells is told by its next owner after it has moved.
    for (const one of made) one.reset();
    const view = source.view();
    const figures = source.figures();
    for (const each of states) state.set({ state: each }, view.state === each ? 1 : 0);
    for (const each of ["opening", "running", "closing"])
      tasks.set({ state: each }, view.tasks.filter((task) => task.state === each).length);
    for (const task of view.tasks) {
      if (task.lag !== null) lag.set({ task: task.id }, task.lag);
      remaining.set({ task: task.id }, task.remainingRecords);
      restored.inc({ task: task.id }, task.restoredBytes);
    }
    for (const [task, behind] of Object.entries(view.standbys)) standbys.set({ task }, behind);
    rebalances.inc(figures.counts.rebalances);
    failures.inc(figures.counts.taskFailures);
    for (const task of figures.tasks) observe(task);
    return { contentType: registry.contentType, text: await registry.metrics() };
  };
}
