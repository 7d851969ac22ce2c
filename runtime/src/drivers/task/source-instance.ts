// One instance of a source within a task: polls its reader, decodes, gives rows their event time and derives watermarks.
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { Batch, Rows, identitySelection, noTime } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { BadRow } from "../../core/operator/bad-rows.ts";
import type { RecordDecoder } from "../../core/ports/format.ts";
import type { SourceBatch, SourceReader, SourceSplit } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { SourceBody } from "../../plan/dataflow.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { fieldTimeMs, type TimeReader } from "../../core/time/field-time.ts";
import { SplitWatermarks } from "../../core/time/split-watermarks.ts";
import type { Barrier } from "./barrier.ts";
import type { Fan } from "./edge.ts";
import type { InstanceCounters } from "./operator-instance.ts";

/** Records per poll: enough to spread the cost of a batch, few enough to stay in the processor's cache. */
const pollRecords = 4096;

// A record's bytes as a copy: the block is reused, and slices of buffers are views.
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  return start < 0 ? null : new Uint8Array(bytes.subarray(start, end));
}

export interface SourceParts {
  readonly uid: string;
  readonly subtask: number;
  readonly body: SourceBody;
  readonly schema: Schema;
  readonly reader: SourceReader;
  readonly decoder: RecordDecoder | undefined;
  readonly output: Fan;
  readonly clock: Clock;
  readonly badRow: (bad: BadRow) => void;
  readonly counters: InstanceCounters;
}

export class SourceInstance {
  readonly uid: string;
  readonly subtask: number;
  readonly reader: SourceReader;
  readonly counters: InstanceCounters;
  /** Where latency comes from, of the latest batch: how old its records were when they were read, and its way through the chain. */
  readonly latency = { recordAgeMs: 0, batchMs: 0 };
  /** Ids of the splits that were read to their end. */
  readonly finished: string[] = [];
  /** The last checkpoint that took its positions. */
  captured = 0;
  readonly #parts: SourceParts;
  readonly #rows: Rows;
  readonly #batch: Batch;
  readonly #part: Batch;
  readonly #watermarks: SplitWatermarks;
  readonly #timeIndex: number;
  /** Reads the time field where it is not simply ms in a column of numbers. */
  readonly #timeReader: TimeReader | undefined;
  readonly #view: RowView | undefined;
  #selection: Int32Array = new Int32Array(pollRecords);
  #sentMs = -Infinity;
  /** The latest time of any row by split, for watermarks by row. */
  readonly #latestMs = new Map<string, number>();
  #sentIdle = false;
  #paused: ReadonlySet<string> = new Set();
  #ended = false;
  #openSplits = 0;
  #hadSplits = false;

  constructor(parts: SourceParts) {
    this.#parts = parts;
    this.uid = parts.uid;
    this.subtask = parts.subtask;
    this.reader = parts.reader;
    this.counters = parts.counters;
    this.#rows = new Rows(parts.schema, pollRecords);
    this.#batch = new Batch(this.#rows);
    this.#part = new Batch(this.#rows);
    this.#watermarks = new SplitWatermarks(parts.body.watermarks ?? { kind: "none" }, {
      inTimeOrder: parts.body.source.inTimeOrder ?? false,
    });
    const time = parts.body.timeField === undefined ? undefined : parts.schema.field(parts.body.timeField);
    this.#timeIndex = time?.index ?? -1;
    const plain =
      time?.column === "number" && (time.spec.type.kind !== "timestamp" || time.spec.type.unit === "ms") && time.spec.type.kind !== "date";
    this.#timeReader = time === undefined || plain ? undefined : fieldTimeMs(parts.schema, time.name);
    this.#view = parts.body.timeOf === undefined ? undefined : rowView<unknown>(parts.schema);
    if (time !== undefined) parts.decoder?.want([time.index]);
  }

  get watermarkMs(): number {
    return this.#sentMs;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** True when every split that was handed to this instance has ended. */
  get exhausted(): boolean {
    return this.#openSplits === 0;
  }

  /** Hands splits to the reader, each with the watermark that it had when its position was stored. */
  assign(splits: readonly SourceSplit[], watermarks: ReadonlyMap<string, number>, nowMs: number): void {
    const state = this.reader.takeBegun === undefined ? "active" : "waiting";
    for (const split of splits) this.#watermarks.add(split.id, nowMs, watermarks.get(split.id), state);
    this.#openSplits += splits.length;
    this.#hadSplits ||= splits.length > 0;
    this.reader.assign(splits);
  }

  splitWatermarks(): ReadonlyMap<string, number> {
    return this.#watermarks.bySplit();
  }

  /** One block from the reader through the chain. False when there was nothing to read. */
  step(): boolean {
    const polled = this.reader.poll(pollRecords);
    if (this.reader.takeBegun !== undefined) {
      const nowMs = this.#parts.clock.now();
      for (const splitId of this.reader.takeBegun()) this.#watermarks.begin(splitId, nowMs);
    }
    if (polled !== null) {
      const startedMs = performance.now();
      if (polled.kind === "raw") this.latency.recordAgeMs = this.#ageOf(polled.records);
      this.#process(polled);
      this.latency.batchMs = performance.now() - startedMs;
    }
    for (const splitId of this.reader.takeFinished()) {
      this.#openSplits--;
      this.finished.push(splitId);
      this.#watermarks.finish(splitId);
    }
    this.#sendWatermark();
    return polled !== null;
  }

  // Of its first record, which is the oldest; what it was where the connector gives no times.
  #ageOf({ timestampMs, count }: RawRecords): number {
    const writtenMs = timestampMs[0] as number;
    return count === 0 || !(writtenMs > 0) ? this.latency.recordAgeMs : Math.max(0, this.#parts.clock.now() - writtenMs);
  }

  #process(polled: SourceBatch): void {
    const batch =
      polled.kind === "raw"
        ? this.#decode(polled.records)
        : this.#batch.set(polled.rows, identitySelection(polled.rows.size), polled.rows.size);
    const splitId = polled.kind === "raw" ? polled.records.splitId : polled.splitId;
    this.counters.rowsIn += polled.kind === "raw" ? polled.records.count : polled.rows.size;
    if (batch.count === 0) return;
    const maxTimeMs = this.#assignTimes(batch);
    this.counters.rowsOut += batch.count;
    if (this.#parts.body.watermarks?.everyRow === true) return this.#emitByTime(batch, splitId);
    this.#parts.output.emit(batch);
    // The batch goes before its watermark: its own rows are not late by it.
    if (maxTimeMs !== noTime) this.#watermarks.advance(splitId, maxTimeMs, this.#parts.clock.now());
  }

  // Cuts the batch after each row that is later than all before it: up to there the watermark stands still, so nothing changes by it.
  #emitByTime(batch: Batch, splitId: string): void {
    const { rows, selection, count } = batch;
    let from = 0;
    let latestMs = this.#latestMs.get(splitId) ?? noTime;
    for (let k = 0; k < count; k++) {
      const timeMs = rows.times[selection[k] as number] as number;
      if (timeMs <= latestMs && k < count - 1) continue;
      this.#parts.output.emit(this.#part.set(rows, selection.subarray(from, k + 1), k + 1 - from));
      from = k + 1;
      if (timeMs <= latestMs) continue;
      latestMs = timeMs;
      this.#watermarks.advance(splitId, timeMs, this.#parts.clock.now());
      this.#sendWatermark();
    }
    this.#latestMs.set(splitId, latestMs);
  }

  #decode(records: RawRecords): Batch {
    const decoder = this.#parts.decoder;
    if (decoder === undefined) throw new Error(`source ${this.uid} gives raw records but has no format`);
    // A record may become two rows (a change with its before image).
    if (this.#selection.length < records.count * 2) this.#selection = new Int32Array(records.count * 2);
    const good = decoder.decode(records, this.#rows, this.#selection, (index, code, reason) => {
      this.#parts.badRow({
        code,
        reason,
        splitId: records.splitId,
        position: records.position[index] as number,
        key: copyOf(records.bytes, records.keyStart[index] as number, records.keyEnd[index] as number),
        value: copyOf(records.bytes, records.valueStart[index] as number, records.valueEnd[index] as number),
      });
    });
    return this.#batch.set(this.#rows, this.#selection, good);
  }

  // Sets the event time of each row and returns the greatest; rows keep the connector's timestamp where no time is declared.
  #assignTimes(batch: Batch): number {
    const { rows, selection, count } = batch;
    const times = rows.times;
    let max = noTime;
    const reader = this.#timeReader;
    if (reader === undefined && this.#timeIndex >= 0) {
      const { numbers, nulls } = rows.column(this.#timeIndex);
      for (let k = 0; k < count; k++) {
        const row = selection[k] as number;
        const timeMs = nulls !== null && nulls[row] !== 0 ? noTime : (numbers[row] as number);
        times[row] = timeMs;
        if (timeMs > max) max = timeMs;
      }
      return max;
    }
    const timeOf = this.#parts.body.timeOf;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      if (reader !== undefined) times[row] = reader(rows, row, undefined);
      else if (timeOf !== undefined) times[row] = this.#timeOfRow(timeOf, rows, row);
      const timeMs = times[row] as number;
      if (timeMs > max) max = timeMs;
    }
    return max;
  }

  #timeOfRow(timeOf: (row: unknown) => number, rows: Rows, row: number): number {
    const view = this.#view as RowView;
    view.point(rows, row);
    try {
      return timeOf(view);
    } catch (cause) {
      this.#parts.badRow({ code: "FUNCTION_FAILED", reason: `the time function failed: ${messageOf(cause)}`, row: { ...view }, cause });
      return noTime;
    }
  }

  #sendWatermark(): void {
    const nowMs = this.#parts.clock.now();
    const timeMs = this.#watermarks.current(nowMs);
    const idle = this.#watermarks.idle(nowMs) && !this.#isEnding;
    const advanced = timeMs > this.#sentMs;
    if (advanced || !idle) this.activate();
    if (advanced) {
      this.#sentMs = timeMs;
      this.#parts.output.watermark(timeMs);
    } else if (idle && !this.#sentIdle) {
      this.#sentIdle = true;
      this.#parts.output.idle();
    }
    this.#align(nowMs);
  }

  // Its end follows in this turn, and says more than idleness would: what operators hold of its rows is not to be left behind.
  get #isEnding(): boolean {
    return this.#hadSplits && this.#openSplits === 0 && this.#parts.body.source.bounded;
  }

  #align(nowMs: number): void {
    if (this.#parts.body.watermarks?.maxDriftMs === undefined) return;
    const paused = this.#watermarks.pausedSplits(nowMs);
    for (const splitId of paused) if (!this.#paused.has(splitId)) this.reader.setPaused(splitId, true);
    for (const splitId of this.#paused) if (!paused.has(splitId)) this.reader.setPaused(splitId, false);
    this.#paused = paused;
  }

  /**
   * Says its first word before the first batch: how far event time is, or that it is idle, as an instance without splits is, which must
   * not hold the others back; else only that it is there.
   */
  announce(): void {
    this.#sendWatermark();
    if (!this.#sentIdle) this.greet();
  }

  /** Says that it is there, and nothing of its time: rows of a snapshot that it must not go ahead of may be on their way. */
  greet(): void {
    this.#parts.output.active();
  }

  /** The task was kept from reading (back pressure, a pause): that silence is not idleness. */
  excuse(durationMs: number): void {
    this.#watermarks.excuse(durationMs);
  }

  /** Rows of these splits are at hand: that none were handed on was not their silence, so none of them is idle. */
  rowsAtHand(splitIds: Iterable<string>): void {
    if (this.#parts.body.watermarks?.idleAfterMs === undefined) return;
    const nowMs = this.#parts.clock.now();
    for (const splitId of splitIds) this.#watermarks.present(splitId, nowMs);
    this.#sendWatermark();
  }

  /** Its next step would say something of event time without any row: a split has fallen silent. */
  get hasNews(): boolean {
    if (this.#ended || this.#parts.body.watermarks?.idleAfterMs === undefined) return false;
    const nowMs = this.#parts.clock.now();
    return this.#watermarks.current(nowMs) > this.#sentMs || (this.#watermarks.idle(nowMs) && !this.#isEnding) !== this.#sentIdle;
  }

  /** Counts again where it was idle. */
  activate(): void {
    if (!this.#sentIdle) return;
    this.#sentIdle = false;
    this.#parts.output.active();
  }

  /** What it has given so far belongs to the checkpoint. */
  passBarrier(barrier: Barrier): void {
    this.#parts.output.barrier(barrier);
  }

  /** All splits have ended and no more will come: event time reaches its end. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#sentMs = endOfTime;
    this.#parts.output.watermark(endOfTime);
  }
}
