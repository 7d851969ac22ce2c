// Prometheus metrics of a JobManager: the job's, and those of its slots, regions and checkpoints; read when they are scraped.
import type { ClusterStatus } from "../../drivers/cluster/leader/cluster-status.ts";
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { MetricsText } from "../rest/job-control.ts";
import { openMetrics } from "../run/job-metrics.ts";

/** What the metrics are read from; the leader's only. */
export interface ClusterReadings {
  status(): ClusterStatus | undefined;
  checkpoints(): readonly CheckpointRecord[];
}

export async function openClusterMetrics(jobName: string, readings: ClusterReadings): Promise<() => Promise<MetricsText>> {
  const { Gauge, Counter, Registry } = await import("prom-client");
  const registry = new Registry();
  registry.setDefaultLabels({ job_name: jobName });
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): InstanceType<typeof Gauge> =>
    new Gauge({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const leader = gauge("leader", "1 where this JobManager leads, else 0");
  const epoch = gauge("leader_epoch", "The leader's epoch");
  const slots = gauge("slots", "Slots that are there, needed and missing", ["kind"]);
  const taskManagers = gauge("task_managers", "TaskManagers that are connected");
  const regions = gauge("regions", "Regions of the job by state", ["state"]);
  const busy = gauge("slot_time_share", "Share of a slot's time by what it did, 0 to 1", ["region", "slot", "activity"]);
  const queued = gauge("exchange_queued_bytes", "Bytes that wait in a slot's exchanges", ["region", "slot", "direction"]);
  const alignment = gauge("last_checkpoint_alignment_seconds", "The longest alignment of the last completed checkpoint");
  const unaligned = gauge("last_checkpoint_unaligned", "1 when barriers of the last completed checkpoint overtook rows");
  const inFlight = gauge("last_checkpoint_in_flight_bytes", "Bytes of rows in flight in the last completed checkpoint");
  const failures = new Counter({
    name: "millrace_checkpoint_failures_total",
    help: "Failed attempts of the checkpoints in the history",
    registers: [registry],
  });
  const jobMetrics = await openMetrics(
    jobName,
    () => readings.status()?.processing ?? undefined,
    () => readings.status()?.restarts ?? 0,
  );

  return async () => {
    for (const one of [slots, regions, busy, queued]) one.reset();
    const status = readings.status();
    leader.set({}, status === undefined ? 0 : 1);
    if (status !== undefined) {
      epoch.set({}, status.epoch);
      for (const kind of ["present", "needed", "missing"] as const) slots.set({ kind }, status.slots[kind]);
      taskManagers.set({}, status.taskManagers.filter((one) => one.connected).length);
      for (const region of status.regions) {
        regions.inc({ state: region.state });
        for (const slice of region.slices) {
          const labels = { region: region.id, slot: String(slice.slot) };
          for (const activity of ["busy", "backpressured", "idle"] as const) busy.set({ ...labels, activity }, slice[activity]);
          queued.set({ ...labels, direction: "in" }, slice.queuedBytesIn);
          queued.set({ ...labels, direction: "out" }, slice.queuedBytesOut);
        }
      }
      const history = readings.checkpoints();
      const last = history.findLast((record) => record.phase === "completed");
      alignment.set({}, (last?.alignmentMs ?? 0) / 1000);
      unaligned.set({}, last?.unaligned === true ? 1 : 0);
      inFlight.set({}, last?.inFlightBytes ?? 0);
      failures.reset();
      failures.inc(
        {},
        history.reduce((sum, record) => sum + record.failures.length, 0),
      );
    }
    const { contentType, text } = await jobMetrics();
    return { contentType, text: `${text}${await registry.metrics()}` };
  };
}
