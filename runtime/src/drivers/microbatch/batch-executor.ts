// One batch from its plan to its commit: offset log -> computation -> sink prepared -> state published -> sink committed -> commit log.
import type { Clock } from "../../base/clock.ts";
import type { CapturedList } from "../task/operator-state-registry.ts";
import type { PlannedBatch } from "./batch-work.ts";
import type { OffsetEntry, SourceRange } from "./log/batch-log.ts";
import { isoTime, perSecond, Phases, positionsOf, type QueryProgress, type SourceProgress } from "./progress.ts";
import type { BatchCheckpoint } from "./running-batches.ts";
import { watermarkScans, watermarkUid } from "./query-dataflow.ts";
import type { QueryRun } from "./query-run.ts";
import { identityList } from "./query-snapshots.ts";
import type { WatermarkStage } from "./stages/stage.ts";
import { checkpointIdOf, sinkName, sinkUid } from "./run/sink-runner.ts";

/** Ends the batch under way; it is run again by the next start. */
export class BatchAborted extends Error {}

export class BatchExecutor {
  readonly #run: QueryRun;
  readonly #clock: Clock;
  readonly #runId: string;
  readonly #isAborted: () => boolean;
  #lastTriggerMs: number | undefined;
  /** The newest checkpoint that this run has completed. */
  lastCheckpoint: BatchCheckpoint | undefined;

  constructor(run: QueryRun, clock: Clock, runId: string, isAborted: () => boolean) {
    this.#run = run;
    this.#clock = clock;
    this.#runId = runId;
    this.#isAborted = isAborted;
  }

  /** Writes down what a batch reads; what another driver had planned before is read instead. */
  async plan(batchId: number, ranges: ReadonlyMap<string, SourceRange>, records: number, phases: Phases): Promise<PlannedBatch> {
    const { batchLog, snapshots, watermarks } = this.#run;
    const watermarkMs = watermarks.currentMs;
    const entry: OffsetEntry = {
      version: 1,
      batchId,
      epoch: snapshots.epoch,
      timestampMs: this.#clock.now(),
      watermarkMs: watermarkMs === -Infinity ? null : watermarkMs,
      sources: Object.fromEntries(ranges),
    };
    const other = await phases.time("walCommit", () => batchLog.plan(entry));
    return other === undefined ? { entry, records, phases } : this.replay(other);
  }

  /** Reads again what a batch of an earlier run had planned. */
  async replay(entry: OffsetEntry): Promise<PlannedBatch> {
    const phases = new Phases();
    let records = 0;
    await phases.time("latestOffset", async () => {
      for (const [uid, feed] of this.#run.feeds) {
        const range = entry.sources[uid];
        if (range !== undefined) records += (await feed.replay(range)).records;
      }
    });
    return { entry, records, phases };
  }

  /** Runs a planned batch to its end. */
  async execute({ entry, records, phases }: PlannedBatch): Promise<QueryProgress> {
    const { sink, runner, remote, batchLog, snapshots, watermarks, feeds } = this.#run;
    const { batchId } = entry;
    const watermarkMs = entry.watermarkMs ?? -Infinity;
    let outputRows = 0;
    remote?.begin(checkpointIdOf(batchId));
    await phases.time("addBatch", async () => {
      await runner.run(watermarkMs, (batch) => {
        if (this.#isAborted()) throw new BatchAborted();
        outputRows += batch.count;
        return sink.write(batch);
      });
    });
    const latestMs = await phases.time("eventTime", () => this.#observe());
    if (this.#isAborted()) throw new BatchAborted();
    const prepared = await phases.time("prepareSink", () => sink.prepare(batchId));
    watermarks.advance();
    const location = await phases.time("commitState", () => this.#publish(batchId, prepared, watermarkMs));
    remote?.published(checkpointIdOf(batchId), location);
    await phases.time("commitSink", () => sink.commit(batchId));
    await phases.time("commitOffsets", async () => {
      await Promise.all([
        batchLog.commit({ version: 1, batchId, epoch: entry.epoch, committedAtMs: this.#clock.now() }),
        snapshots.markCommitted(checkpointIdOf(batchId)),
      ]);
    });
    for (const feed of feeds.values()) await feed.committed();
    // A base is written a slice at a time, beside the batches.
    snapshots.background(this.#run.operators.scanned);
    this.lastCheckpoint = { id: checkpointIdOf(batchId), location, completedAtMs: this.#clock.now() };
    return this.#progress(entry, records, outputRows, latestMs, phases);
  }

  // The latest event time of the batch, ms.
  async #observe(): Promise<number> {
    const { stages, watermarks, feeds, runner } = this.#run;
    let latestMs = -Infinity;
    for (const [index, stage] of stages.watermarks.entries()) {
      const { from } = stage;
      const latest =
        from.kind === "scan" ? (feeds.get(from.uid)?.latestMs.get(from.column) ?? -Infinity) : await runner.latestMs(from.sql, from.tables);
      watermarks.observe(index, latest, this.#isHeld(stage));
      latestMs = Math.max(latestMs, latest);
    }
    return latestMs;
  }

  #isHeld(stage: WatermarkStage): boolean {
    return watermarkScans(stage).some((uid) => this.#run.feeds.get(uid)?.holdsTime === true);
  }

  /** Sources may have come to their end without a further record: then the time of what they gave counts. */
  releaseTime(): void {
    const { stages, watermarks } = this.#run;
    for (const [index, stage] of stages.watermarks.entries()) watermarks.observe(index, -Infinity, this.#isHeld(stage));
    watermarks.advance();
  }

  async #publish(batchId: number, prepared: Uint8Array, watermarkMs: number): Promise<string> {
    const { snapshots, operators, feeds, watermarks, stages, remote } = this.#run;
    const reachedMs = watermarks.currentMs;
    const subtasks = [
      ...operators.capture(),
      ...stages.watermarks.map((_stage, index) => ({
        uid: watermarkUid(index),
        lists: [this.#watermarkList(index, watermarkMs)],
        watermarkMs: reachedMs,
      })),
      ...[...feeds].map(([uid, feed]) => ({ uid, splits: feed.splits.map((split) => ({ split, watermarkMs: reachedMs })) })),
      { uid: sinkUid, sinkState: prepared, lists: [this.#identityList()] },
    ];
    const sources = new Map([...feeds].map(([uid, feed]) => [uid, feed.state()]));
    return snapshots.publish(checkpointIdOf(batchId), subtasks, sources, operators.scanned, remote?.acks);
  }

  // A savepoint may be restored far from the location that knows the query.
  #identityList(): CapturedList {
    const value = Buffer.from(JSON.stringify(this.#run.identity));
    return { name: identityList, redistribution: "union", entries: [{ key: identityList, value }] };
  }

  #watermarkList(index: number, previousMs: number): CapturedList {
    const { watermarks } = this.#run;
    const entries = [
      { key: "reached", value: doubleBytes(watermarks.each[index] ?? -Infinity) },
      { key: "latest", value: doubleBytes(watermarks.latest[index] ?? -Infinity) },
      { key: "current", value: doubleBytes(watermarks.currentMs) },
      { key: "previous", value: doubleBytes(previousMs) },
    ];
    return { name: "reached", redistribution: "union", entries };
  }

  #progress(entry: OffsetEntry, records: number, outputRows: number, latestMs: number, phases: Phases): QueryProgress {
    const { query, identity, stages, operators, remote } = this.#run;
    const sinceMs = this.#lastTriggerMs === undefined ? 0 : entry.timestampMs - this.#lastTriggerMs;
    this.#lastTriggerMs = entry.timestampMs;
    const durationMs = phases.totalMs;
    const watermarkMs = entry.watermarkMs ?? -Infinity;
    return {
      id: identity.id,
      runId: this.#runId,
      name: query.name,
      timestamp: isoTime(entry.timestampMs),
      batchId: entry.batchId,
      batchDuration: Math.round(durationMs),
      numInputRows: records,
      inputRowsPerSecond: perSecond(records, sinceMs),
      processedRowsPerSecond: perSecond(records, durationMs),
      durationMs: phases.json(),
      eventTime:
        stages.watermarks.length === 0
          ? {}
          : { watermark: isoTime(watermarkMs), ...(Number.isFinite(latestMs) ? { max: isoTime(latestMs) } : {}) },
      stateOperators: [...operators.status(), ...(remote?.status() ?? [])].map(({ stage, figures, state }) => ({
        operatorName: stage.operator,
        uid: stage.uid,
        numRowsTotal: state.entries,
        numRowsUpdated: figures.rowsIn,
        numRowsOutput: figures.rowsOut,
        allUpdatesTimeMs: Math.round(figures.updateMs),
        allRemovalsTimeMs: Math.round(figures.removalMs),
        memoryUsedBytes: state.memory,
        diskUsedBytes: state.disk,
        numRowsDroppedByWatermark: figures.lateRows,
      })),
      sources: this.#sources(entry, sinceMs, durationMs),
      sink: { description: sinkName(query.sink), numOutputRows: outputRows },
    };
  }

  #sources(entry: OffsetEntry, sinceMs: number, durationMs: number): readonly SourceProgress[] {
    const { stages, feeds } = this.#run;
    return stages.scans.flatMap(({ uid, plan }) => {
      const feed = feeds.get(uid);
      const range = entry.sources[uid];
      if (feed === undefined) return [];
      const rows = range === undefined ? 0 : Object.values(range.counts).reduce((sum, count) => sum + count, 0);
      const backlog = feed.lag();
      return [
        {
          description: `${plan.relation.source.connector} ${uid}`,
          name: uid,
          startOffset: range === undefined ? null : positionsOf(range.from),
          endOffset: range === undefined ? null : positionsOf(range.to),
          numInputRows: rows,
          inputRowsPerSecond: perSecond(rows, sinceMs),
          processedRowsPerSecond: perSecond(rows, durationMs),
          ...(backlog === undefined ? {} : { backlog }),
          malformed: feed.malformed,
        },
      ];
    });
  }
}

function doubleBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return bytes;
}
