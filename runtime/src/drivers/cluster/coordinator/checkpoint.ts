// The one checkpoint that is under way, from its trigger until every sink has committed it, and the history of those before it.
import { assert } from "../../../base/errors.ts";
import type { SourceRecord } from "../../../checkpoint/store/operator-record.ts";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import type { CheckpointRecord } from "../../continuous/checkpointer.ts";
import type { RestoredSource } from "../../continuous/split-book.ts";
import type { CheckpointTimes, SliceAck } from "../slot-protocol.ts";
import type { Region } from "./region.ts";
import type { LatestSnapshot, SavepointIntent } from "./types.ts";

/** `triggering`: slices cut and upload; `copying`: the savepoint is made; `recording`: that all sinks have committed is written down. */
export type CheckpointPhase = "triggering" | "publishing" | "copying" | "committing" | "recording" | "done";

const moves: Readonly<Record<CheckpointPhase, readonly CheckpointPhase[]>> = {
  triggering: ["publishing"],
  publishing: ["copying", "committing"],
  copying: ["committing"],
  committing: ["recording"],
  recording: ["done"],
  done: [],
};

/** Why it was taken: what comes after it. */
export type CheckpointKind = "periodic" | "rescale" | "savepoint" | "stop" | "drain" | "final" | "restored";

export class PendingCheckpoint {
  readonly id: number;
  kind: CheckpointKind;
  readonly savepoint: SavepointIntent | undefined;
  /** By region and attempt: what its slices do after the barrier. */
  readonly afters: Map<string, "go" | "hold" | "drain"> = new Map();
  readonly record: CheckpointRecord;
  readonly startedMs: number;
  /** What enumerators held when it began. */
  readonly enumerators: ReadonlyMap<string, unknown>;
  /** When it counts as failed once more. */
  deadlineMs: number;
  #phase: CheckpointPhase;
  /** The storage step is under way, or waits until `retryAtMs`. */
  asked = false;
  retryAtMs = 0;
  failures = 0;
  /** What is published: kept, for a second try must be the same. */
  acks: readonly SliceAck[] | undefined;
  sources: ReadonlyMap<string, SourceRecord> = new Map();

  constructor(about: {
    readonly id: number;
    readonly kind: CheckpointKind;
    readonly phase: CheckpointPhase;
    readonly savepoint: SavepointIntent | undefined;
    readonly nowMs: number;
    readonly timeoutMs: number;
    readonly enumerators: ReadonlyMap<string, unknown>;
  }) {
    this.id = about.id;
    this.kind = about.kind;
    this.#phase = about.phase;
    this.savepoint = about.savepoint;
    this.startedMs = about.nowMs;
    this.deadlineMs = about.nowMs + about.timeoutMs;
    this.enumerators = about.enumerators;
    this.record = {
      id: about.id,
      phase: "writing",
      triggeredAtMs: about.nowMs,
      savepointId: about.savepoint?.id,
      cutMs: 0,
      durationMs: undefined,
      location: undefined,
      writtenBytes: 0,
      totalBytes: 0,
      failures: [],
    };
  }

  get phase(): CheckpointPhase {
    return this.#phase;
  }

  move(to: CheckpointPhase): void {
    assert(moves[this.#phase].includes(to), `checkpoint ${this.id} may go from ${this.#phase} to ${to}`);
    this.#phase = to;
    this.asked = false;
    this.retryAtMs = 0;
    this.failures = 0;
  }

  /** The job ends with it. */
  get ends(): boolean {
    return this.kind === "stop" || this.kind === "drain" || this.kind === "final";
  }

  get published(): boolean {
    return this.#phase !== "triggering" && this.#phase !== "publishing";
  }

  note(times: CheckpointTimes): void {
    this.record.cutMs = Math.max(this.record.cutMs, times.cutMs);
    this.record.alignmentMs = Math.max(this.record.alignmentMs ?? 0, times.alignmentMs);
    this.record.uploadMs = Math.max(this.record.uploadMs ?? 0, times.uploadMs);
    this.record.inFlightBytes = (this.record.inFlightBytes ?? 0) + times.inFlightBytes;
    this.record.unaligned = (this.record.unaligned ?? false) || times.unaligned;
  }

  /** One more attempt has failed; the pause before the next one, ms. */
  failed(reason: string): number {
    this.record.failures.push(reason);
    if (this.record.failures.length > 10) this.record.failures.shift();
    this.failures++;
    return Math.min(30_000, 1000 * 2 ** Math.min(10, this.failures - 1));
  }
}

/** The parts of all slices, when all have answered. */
export function acksOf(regions: readonly Region[], checkpointId: number): readonly SliceAck[] | undefined {
  const acks: SliceAck[] = [];
  for (const region of regions) {
    if (region.state !== "running" || !region.complete) return undefined;
    for (const slice of region.slices.values()) {
      if (slice.ack?.checkpointId !== checkpointId) return undefined;
      acks.push(slice.ack);
    }
  }
  return acks;
}

/** What the checkpoint says of each source: its enumerator's state, and the splits that are over. */
export function sourceRecords(
  regions: readonly Region[],
  acks: readonly SliceAck[],
  before: LatestSnapshot | undefined,
  enumerators: ReadonlyMap<string, unknown>,
): ReadonlyMap<string, SourceRecord> {
  const records = new Map<string, SourceRecord>();
  for (const { uid, source } of regions.flatMap((region) => region.plan.vertices)) {
    if (!source) continue;
    const finished = new Set(before?.sources.get(uid)?.finished);
    for (const { finishedSplits } of acks) {
      for (const one of finishedSplits) if (one.uid === uid) for (const id of one.splitIds) finished.add(id);
    }
    // A leader that was not there at the barrier knows an older state of the enumerator: at most it finds again what is listed here.
    const enumerator = enumerators.get(uid) ?? before?.sources.get(uid)?.enumerator;
    records.set(uid, { ...(enumerator === undefined ? {} : { enumerator }), finished: [...finished].sort() });
  }
  return records;
}

/** The snapshot as restarts will see it. */
export function sourcesIn(acks: readonly UploadAck[], records: ReadonlyMap<string, SourceRecord>): LatestSnapshot["sources"] {
  const sources = new Map<string, RestoredSource>();
  const subtasks = acks.flatMap((ack) => ack.subtasks);
  for (const [uid, { enumerator, finished = [] }] of records) {
    const splits = subtasks
      .filter((subtask) => subtask.uid === uid)
      .flatMap((subtask) => subtask.splits ?? [])
      .map(({ id, position, watermarkMs }) => ({ split: { id, position }, watermarkMs: watermarkMs ?? Number.NEGATIVE_INFINITY }));
    sources.set(uid, { splits, enumerator, finished });
  }
  return sources;
}
