// Prometheus metrics of a running query, kept by its progress.
import type { QueryProgress } from "../../drivers/microbatch/progress.ts";

export interface FramesMetrics {
  observe(progress: QueryProgress): void;
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** The names are listed in docs/reference/metrics.md. */
export async function openFramesMetrics(jobName: string): Promise<FramesMetrics> {
  const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = await import("prom-client");
  const registry = new Registry();
  registry.setDefaultLabels({ job_name: jobName });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const gauge = (name: string, help: string, ...labelNames: string[]): InstanceType<typeof Gauge> =>
    new Gauge({ name: `millrace_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, ...labelNames: string[]): InstanceType<typeof Counter> =>
    new Counter({ name: `millrace_${name}`, help, labelNames, registers });
  const batchId = gauge("batch_id", "Id of the last committed batch");
  const inputRows = counter("batch_input_rows_total", "Records read since the start", "source");
  const outputRows = counter("batch_output_rows_total", "Rows written since the start");
  const duration = new Histogram({
    name: "millrace_batch_duration_seconds",
    help: "From a batch's trigger to its commit",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const phases = counter("batch_phase_seconds_total", "Time of batches by phase", "phase");
  const watermark = gauge("watermark_seconds", "Event time of the query, seconds since the epoch", "uid");
  const backlog = gauge("source_lag_records", "Records that are there to be read but were not read yet", "uid");
  const malformed = gauge("batch_malformed_records", "Records that were no rows, since the start", "source");
  const entries = gauge("state_entries", "Entries of keyed state", "uid");
  const bytes = gauge("state_bytes", "Bytes of keyed state", "place");
  const late = counter("batch_late_rows_total", "Rows dropped because they were behind the watermark", "uid");
  return {
    observe(progress) {
      batchId.set(progress.batchId);
      outputRows.inc(progress.sink.numOutputRows);
      duration.observe(progress.batchDuration / 1000);
      for (const [phase, ms] of Object.entries(progress.durationMs)) if (phase !== "triggerExecution") phases.inc({ phase }, ms / 1000);
      const { watermark: reached } = progress.eventTime;
      if (reached !== undefined) watermark.set({ uid: "query" }, Date.parse(reached) / 1000);
      for (const source of progress.sources) {
        inputRows.inc({ source: source.name }, source.numInputRows);
        malformed.set({ source: source.name }, source.malformed);
        if (source.backlog !== undefined) backlog.set({ uid: source.name }, source.backlog);
      }
      let memory = 0;
      let disk = 0;
      for (const operator of progress.stateOperators) {
        entries.set({ uid: operator.uid }, operator.numRowsTotal);
        late.inc({ uid: operator.uid }, operator.numRowsDroppedByWatermark);
        memory += operator.memoryUsedBytes;
        disk += operator.diskUsedBytes;
      }
      bytes.set({ place: "memory" }, memory);
      bytes.set({ place: "disk" }, disk);
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
