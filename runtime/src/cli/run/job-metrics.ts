// Prometheus metrics of a running job, read from its status when they are scraped.
import type { RunStatus } from "../../drivers/continuous/job-status.ts";

interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** Makes a function that renders the metrics of `status()`; the names are listed in docs/reference/metrics.md. */
export async function openMetrics(
  jobName: string,
  status: () => RunStatus | undefined,
  restarts: () => number,
): Promise<() => Promise<MetricsText>> {
  const { Counter, Gauge, Registry, collectDefaultMetrics } = await import("prom-client");
  const registry = new Registry();
  registry.setDefaultLabels({ job_name: jobName });
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: readonly string[]): InstanceType<typeof Gauge> =>
    new Gauge({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const counters: InstanceType<typeof Counter>[] = [];
  // The job keeps the counts: a counter is set anew at each scrape.
  const counter = (name: string, help: string, labelNames: readonly string[]): InstanceType<typeof Counter> => {
    const made = new Counter({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [registry] });
    counters.push(made);
    return made;
  };
  const perSubtask = ["uid", "subtask"];
  const rowsIn = counter("rows_in_total", "Rows taken in by an operator instance since its start", perSubtask);
  const rowsOut = counter("rows_out_total", "Rows given out by an operator instance since its start", perSubtask);
  const watermark = gauge("watermark_seconds", "Event time reached by an operator instance, seconds since the epoch", perSubtask);
  const counts = counter("operator_events_total", "Events an operator counts, such as late_records_dropped", [...perSubtask, "event"]);
  const values = gauge("operator_value", "Figures of an operator instance, such as record_age_ms", [...perSubtask, "name"]);
  const lag = gauge("source_lag_records", "Records that are there to be read but were not read yet", ["uid"]);
  const state = gauge("state_bytes", "Bytes of keyed state", ["place"]);
  const entries = gauge("state_entries", "Entries of keyed state", []);
  const bad = counter("bad_records_total", "Records that could not be processed since the start", []);
  const times = counter("task_time_seconds_total", "Time of the task's loop, by what it did", ["activity"]);
  const checkpointId = gauge("last_checkpoint_id", "Id of the last completed checkpoint", []);
  const checkpointDuration = gauge("last_checkpoint_duration_seconds", "Duration of the last completed checkpoint", []);
  const checkpointBytes = gauge("last_checkpoint_written_bytes", "Bytes written for the last completed checkpoint", []);
  const checkpointCut = gauge("last_checkpoint_cut_seconds", "How long processing stood still for the last completed checkpoint", []);
  const restartCount = counter("restarts_total", "Restarts of the job in this process", []);

  return async () => {
    const now = status();
    for (const one of counters) one.reset();
    restartCount.inc({}, restarts());
    if (now !== undefined) {
      for (const operator of now.operators) {
        for (const subtask of operator.subtasks) {
          const labels = { uid: operator.uid, subtask: String(subtask.subtask) };
          rowsIn.inc(labels, subtask.rowsIn);
          rowsOut.inc(labels, subtask.rowsOut);
          if (subtask.watermarkMs !== null) watermark.set(labels, subtask.watermarkMs / 1000);
          for (const [event, value] of Object.entries(subtask.counts)) counts.inc({ ...labels, event }, value);
          for (const [name, value] of Object.entries(subtask.gauges)) values.set({ ...labels, name }, value);
        }
      }
      for (const [uid, records] of Object.entries(now.lag)) if (records !== null) lag.set({ uid }, records);
      state.set({ place: "memory" }, now.state.memoryBytes);
      state.set({ place: "disk" }, now.state.diskBytes);
      entries.set({}, now.state.entries);
      bad.inc({}, now.badRecords);
      times.inc({ activity: "busy" }, now.times.busyMs / 1000);
      times.inc({ activity: "backpressured" }, now.times.backpressuredMs / 1000);
      times.inc({ activity: "idle" }, now.times.idleMs / 1000);
      if (now.lastCheckpoint !== null) {
        checkpointId.set({}, now.lastCheckpoint.id);
        checkpointDuration.set({}, (now.lastCheckpoint.durationMs ?? 0) / 1000);
        checkpointBytes.set({}, now.lastCheckpoint.writtenBytes);
        checkpointCut.set({}, now.lastCheckpoint.cutMs / 1000);
      }
    }
    return { contentType: registry.contentType, text: await registry.metrics() };
  };
}
