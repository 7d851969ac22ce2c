// One region of the job: its deployment, from waiting for slots to running, and back after a failure.
import { assert } from "../../../base/errors.ts";
import type { RestartBackoff } from "../../continuous/restart-backoff.ts";
import type { SplitBook, TimedSplit } from "../../continuous/split-book.ts";
import type { SliceAck, SliceId, SliceReport, SliceState, SliceStatus, VertexPlacement } from "../slot-protocol.ts";
import { type RegionPlan, slotCount } from "./job-graph.ts";

/**
 * `adopting`: a new leader waits for slices that run; `pausing`: between a failure and the next attempt; `over`: nothing runs and
 * nothing will.
 */
export type RegionState = "adopting" | "waiting" | "deploying" | "running" | "cancelling" | "pausing" | "over";

const moves: Readonly<Record<RegionState, readonly RegionState[]>> = {
  adopting: ["deploying", "cancelling"],
  waiting: ["deploying", "over"],
  deploying: ["running", "cancelling"],
  running: ["cancelling"],
  cancelling: ["pausing", "over"],
  pausing: ["waiting", "over"],
  over: [],
};

export interface Slice {
  readonly id: SliceId;
  readonly taskManagerId: string;
  readonly index: number;
  /** `lost`: its TaskManager or thread is gone. */
  state: SliceState | "lost";
  /** Commands that went out over the present connection: not sent again unless it breaks. */
  readonly sent: Set<string>;
  /** The checkpoint that it has begun and not committed. */
  pending: { readonly checkpointId: number; readonly after: "go" | "hold" | "drain" } | undefined;
  ack: SliceAck | undefined;
  committedId: number;
  /** When its last checkpoint began, as far as it has said. */
  checkpointBeganMs: number | undefined;
  report: SliceReport | undefined;
  /** The one before: shares of time are between the two. */
  reportBefore: SliceReport | undefined;
  /** What it said of its splits when its TaskManager registered, until that was compared with what it should have. */
  adopted: Pick<SliceStatus, "splits" | "finishedSplits"> | undefined;
}

/** A source of a running region: its splits, and whether more may come. */
export interface SourceState {
  readonly book: SplitBook;
  /** Tells answers of an earlier look from those of this one. */
  readonly generation: number;
  discovered: boolean;
  exhausted: boolean;
  /** Discovered before the region started. */
  readonly found: TimedSplit[];
  enumerator: unknown;
}

export class Region {
  readonly plan: RegionPlan;
  readonly backoff: RestartBackoff;
  /** Restarts for reasons that are not the job's: they are not limited, only slowed down when they repeat. */
  readonly losses: RestartBackoff;
  #state: RegionState;
  sinceMs: number;
  attempt: number;
  vertices: readonly VertexPlacement[] = [];
  readonly slices: Map<number, Slice> = new Map();
  readonly sources: Map<string, SourceState> = new Map();
  /** The snapshot that this attempt began from; 0 for none. */
  restoredId = 0;
  resumeAtMs = 0;
  /** After `cancelling`. */
  afterCancel: "pause" | "over" = "pause";
  everRan = false;
  ranSinceMs = 0;

  constructor(
    plan: RegionPlan,
    state: "adopting" | "waiting" | "over",
    attempt: number,
    nowMs: number,
    backoffs: { readonly backoff: RestartBackoff; readonly losses: RestartBackoff },
  ) {
    this.plan = plan;
    this.#state = state;
    this.attempt = attempt;
    this.sinceMs = nowMs;
    this.backoff = backoffs.backoff;
    this.losses = backoffs.losses;
  }

  get id(): string {
    return this.plan.id;
  }

  get state(): RegionState {
    return this.#state;
  }

  move(to: RegionState, nowMs: number): void {
    assert(moves[this.#state].includes(to), `region ${this.id} may go from ${this.#state} to ${to}`);
    this.#state = to;
    this.sinceMs = nowMs;
  }

  /** Forgets the last attempt and makes slices for a new one. */
  begin(
    attempt: number,
    vertices: readonly VertexPlacement[],
    restoredId: number,
    slotAt: (number: number) => { readonly taskManagerId: string; readonly index: number },
  ): void {
    this.attempt = attempt;
    this.vertices = vertices;
    this.restoredId = restoredId;
    this.slices.clear();
    this.sources.clear();
    for (let slot = 0; slot < slotCount(vertices); slot++) {
      const { taskManagerId, index } = slotAt(slot);
      this.slices.set(slot, newSlice({ region: this.id, attempt, slot }, taskManagerId, index, restoredId));
    }
  }

  /** A slice of this attempt that was there before this leader. */
  adopt(taskManagerId: string, index: number, status: SliceStatus, saidAtMs: number): void {
    if (this.vertices.length === 0) this.vertices = status.vertices;
    const slice = newSlice(status.slice, taskManagerId, index, 0);
    this.slices.set(status.slice.slot, slice);
    refresh(slice, status, saidAtMs);
  }

  /** All slices of the attempt are known. */
  get complete(): boolean {
    return this.vertices.length > 0 && this.slices.size === slotCount(this.vertices);
  }

  /** When the last checkpoint began, as far as slices have said. */
  get checkpointBeganMs(): number | undefined {
    const began = [...this.slices.values()].flatMap((slice) => slice.checkpointBeganMs ?? []);
    return began.length === 0 ? undefined : Math.max(...began);
  }

  every(test: (slice: Slice) => boolean): boolean {
    return [...this.slices.values()].every(test);
  }

  sliceOf(uid: string, subtask: number): Slice | undefined {
    const slot = this.vertices.find((vertex) => vertex.uid === uid)?.slots[subtask];
    return slot === undefined ? undefined : this.slices.get(slot);
  }
}

function newSlice(id: SliceId, taskManagerId: string, index: number, committedId: number): Slice {
  return {
    id,
    taskManagerId,
    index,
    state: "deploying",
    sent: new Set(),
    pending: undefined,
    ack: undefined,
    committedId,
    checkpointBeganMs: undefined,
    report: undefined,
    reportBefore: undefined,
    adopted: undefined,
  };
}

/** Takes over what a slice says of itself when its TaskManager registers. */
export function refresh(slice: Slice, status: SliceStatus, saidAtMs: number): void {
  slice.sent.clear();
  slice.sent.add("deploy");
  slice.state = status.state;
  slice.committedId = Math.max(slice.committedId, status.committedCheckpointId);
  slice.pending = status.pending;
  slice.ack = status.pending?.ack;
  if (status.checkpointAgeMs !== undefined) slice.checkpointBeganMs = saidAtMs - status.checkpointAgeMs;
  slice.adopted = { splits: status.splits, finishedSplits: status.finishedSplits };
}
