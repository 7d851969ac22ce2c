// What a slice tells of itself every second: rows, event time, state and lag of its instances, and how its time was spent.
import type { JobLoop } from "../../continuous/job-loop.ts";
import type { Task } from "../../task/task.ts";
import type { SliceReport, SliceState, SubtaskReport } from "../slot-protocol.ts";

export function sliceReport(state: SliceState, task: Task | undefined, loop: JobLoop | undefined): SliceReport {
  const times = loop?.times ?? { busyMs: 0, backpressuredMs: 0, idleMs: 0 };
  const exchange = task?.exchange;
  return {
    state,
    ...times,
    subtasks: task === undefined ? [] : subtaskReports(task),
    exchange: {
      bytesIn: exchange?.totals.bytesIn ?? 0,
      bytesOut: exchange?.totals.bytesOut ?? 0,
      queuedBytesIn: exchange?.inbound.reduce((sum, channel) => sum + channel.queuedBytes, 0) ?? 0,
      queuedBytesOut: exchange?.outbound.reduce((sum, channel) => sum + channel.queuedBytes, 0) ?? 0,
    },
  };
}

function subtaskReports(task: Task): readonly SubtaskReport[] {
  const about = new Map<string, Partial<SubtaskReport>>();
  for (const source of task.sources) {
    const lag = source.reader.lag();
    const lagRecords = lag === undefined ? undefined : [...lag.values()].reduce((sum, records) => sum + records, 0);
    about.set(`${source.subtask} ${source.uid}`, {
      watermarkMs: finite(source.watermarkMs),
      ...(lagRecords === undefined ? {} : { lagRecords }),
    });
  }
  for (const { instance, backend } of task.operators) {
    const size = backend?.sizeBytes();
    const state = size === undefined ? {} : { stateBytes: size.memory + size.disk, stateEntries: size.entries };
    about.set(`${instance.subtask} ${instance.uid}`, { watermarkMs: finite(instance.watermarkMs), ...state });
  }
  for (const sink of task.sinks) about.set(`${sink.subtask} ${sink.uid}`, { watermarkMs: finite(sink.watermarkMs) });
  return task.metrics.instances().map(({ uid, subtask, counters, counts, gauges }) => ({
    uid,
    subtask,
    rowsIn: counters.rowsIn,
    rowsOut: counters.rowsOut,
    watermarkMs: null,
    ...about.get(`${subtask} ${uid}`),
    counters: Object.fromEntries([...counts, ...[...gauges].map(([name, read]) => [name, read()] as const)]),
  }));
}

function finite(timeMs: number): number | null {
  return Number.isFinite(timeMs) ? timeMs : null;
}
