// What a job in batches tells of each of them, from the counters of its instances.
import type { DataflowNode } from "../../../plan/dataflow.ts";
import type { OffsetEntry } from "../log/batch-log.ts";
import {
  isoTime,
  perSecond,
  positionsOf,
  type Phases,
  type QueryProgress,
  type SourceProgress,
  type StateOperatorProgress,
} from "../progress.ts";
import type { BatchTask } from "./batch-task.ts";

interface Totals {
  rowsIn: number;
  rowsOut: number;
  late: number;
}

/** Operators count late rows under this name. */
const lateName = "late_records_dropped";

export class JobProgress {
  readonly #name: string;
  readonly #runId: string;
  readonly #nodes: readonly DataflowNode[];
  readonly #batches: BatchTask;
  #before = new Map<string, Totals>();
  #lastTriggerMs: number | undefined;

  constructor(name: string, runId: string, nodes: readonly DataflowNode[], batches: BatchTask) {
    this.#name = name;
    this.#runId = runId;
    this.#nodes = nodes;
    this.#batches = batches;
  }

  /** Of a batch that is committed. */
  next(entry: OffsetEntry, records: number, phases: Phases): QueryProgress {
    const totals = this.#totals();
    const since = (uid: string): Totals => difference(totals.get(uid), this.#before.get(uid));
    const sinceMs = this.#lastTriggerMs === undefined ? 0 : entry.timestampMs - this.#lastTriggerMs;
    this.#lastTriggerMs = entry.timestampMs;
    const durationMs = phases.totalMs;
    const sinks = this.#nodes.filter(({ body }) => body.kind === "sink");
    const timed = this.#nodes.some(({ body }) => body.kind === "source" && body.watermarks !== undefined);
    const progress: QueryProgress = {
      ...{ id: this.#name, runId: this.#runId, name: this.#name, batchId: entry.batchId, numInputRows: records },
      timestamp: isoTime(entry.timestampMs),
      batchDuration: Math.round(durationMs),
      inputRowsPerSecond: perSecond(records, sinceMs),
      processedRowsPerSecond: perSecond(records, durationMs),
      durationMs: phases.json(),
      eventTime: timed ? { watermark: isoTime(entry.watermarkMs ?? -Infinity) } : {},
      stateOperators: this.#nodes.flatMap((node) =>
        node.body.kind === "operator" && node.body.keyed ? [this.#operator(node, since)] : [],
      ),
      sources: this.#nodes.flatMap((node) => (node.body.kind === "source" ? [this.#source(node, entry, sinceMs, durationMs)] : [])),
      sink: {
        description: sinks.map(({ kind, uid }) => `${kind} ${uid}`).join(", "),
        numOutputRows: sinks.reduce((sum, { uid }) => sum + since(uid).rowsIn, 0),
      },
    };
    this.#before = totals;
    return progress;
  }

  #totals(): Map<string, Totals> {
    const totals = new Map<string, Totals>();
    for (const { uid, counters, counts } of this.#batches.task.metrics.instances()) {
      const all = totals.get(uid) ?? { rowsIn: 0, rowsOut: 0, late: 0 };
      all.rowsIn += counters.rowsIn;
      all.rowsOut += counters.rowsOut;
      all.late += counts.get(lateName) ?? 0;
      totals.set(uid, all);
    }
    return totals;
  }

  #operator({ uid, kind }: DataflowNode, since: (uid: string) => Totals): StateOperatorProgress {
    const { rowsIn, rowsOut, late } = since(uid);
    const state = { entries: 0, memory: 0, disk: 0 };
    for (const { instance, backend } of this.#batches.task.operators) {
      if (instance.uid !== uid || backend === undefined) continue;
      const { entries, memory, disk } = backend.sizeBytes();
      state.entries += entries;
      state.memory += memory;
      state.disk += disk;
    }
    return {
      ...{ operatorName: kind, uid, numRowsTotal: state.entries, numRowsUpdated: rowsIn, numRowsOutput: rowsOut },
      // Its rows and its timers take turns with those of other operators: there is no time of its own.
      ...{ allUpdatesTimeMs: 0, allRemovalsTimeMs: 0 },
      ...{ memoryUsedBytes: state.memory, diskUsedBytes: state.disk, numRowsDroppedByWatermark: late },
    };
  }

  #source({ uid, kind }: DataflowNode, entry: OffsetEntry, sinceMs: number, durationMs: number): SourceProgress {
    const range = entry.sources[uid];
    const rows = Object.values(range?.counts ?? {}).reduce((sum, count) => sum + count, 0);
    const backlog = this.#batches.inputs.lag(uid);
    return {
      ...{ description: `${kind} ${uid}`, name: uid, numInputRows: rows, malformed: this.#batches.task.badRows.countOf(uid) },
      startOffset: range === undefined ? null : positionsOf(range.from),
      endOffset: range === undefined ? null : positionsOf(range.to),
      inputRowsPerSecond: perSecond(rows, sinceMs),
      processedRowsPerSecond: perSecond(rows, durationMs),
      ...(backlog === undefined ? {} : { backlog }),
    };
  }
}

function difference(now: Totals = { rowsIn: 0, rowsOut: 0, late: 0 }, before: Totals = { rowsIn: 0, rowsOut: 0, late: 0 }): Totals {
  return { rowsIn: now.rowsIn - before.rowsIn, rowsOut: now.rowsOut - before.rowsOut, late: now.late - before.late };
}
