// What the control topic of an application says, as a state that every process works out alike: its log has one order. Pure.
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";

export type AppSavepointMode = "keep" | "stop";

/** Where an application's state came from at first; absent for one that began empty. */
export interface Origin {
  /** Goes up with every restore: what a changelog holds of an earlier one is void. */
  readonly generation: number;
  /** Tells one restore from the same savepoint from another one. */
  readonly restoreId: string;
  /** The savepoint's URL. */
  readonly location: string;
  /** Of the savepoint's manifest: ids rise over all that follows from it. */
  readonly checkpointId: number;
}

/** A try to take a savepoint: asked for by one process, and taken part in by all. */
export interface RoundBegin {
  readonly id: string;
  readonly attempt: number;
  readonly mode: AppSavepointMode;
  /** The process that asked: it publishes. */
  readonly by: string;
  readonly checkpointId: number;
  /** How many tasks have to make their cut. */
  readonly taskCount: number;
}

/**
 * A record of the topic. Which of two comes first decides, so compaction must not take the first one away: no two records that count have the
 * same key, but for `origin`, before which nothing counts. The cuts of a round are deleted once it is published.
 */
export type ControlRecord =
  | ({ readonly kind: "origin" } & Origin)
  | ({ readonly kind: "round" } & RoundBegin)
  | { readonly kind: "cut"; readonly attempt: number; readonly task: string; readonly ack: UploadAck }
  | { readonly kind: "aborted"; readonly attempt: number; readonly by: string; readonly reason: string }
  | { readonly kind: "published"; readonly attempt: number; readonly result: SavepointResult };

/**
 * `cutting`: tasks make their cuts. `cut`: all have, so the savepoint is certain; it only has to be written down. `aborted`: void, and
 * processing goes on. Which of the last two comes first in the log counts; the other one comes too late and is ignored.
 */
export type RoundPhase = "cutting" | "cut" | "aborted" | "published";

export interface Round extends RoundBegin {
  readonly phase: RoundPhase;
  readonly cuts: ReadonlyMap<string, UploadAck>;
  readonly reason?: string;
  readonly result?: SavepointResult;
}

export interface ControlState {
  readonly origin: Origin | undefined;
  readonly round: Round | undefined;
}

export const emptyControl: ControlState = { origin: undefined, round: undefined };

export function keyOf(record: ControlRecord): string {
  switch (record.kind) {
    case "origin":
      return "origin";
    case "cut":
      return cutKey(record.attempt, record.task);
    case "published":
      return `published/${record.attempt}`;
    case "round":
    case "aborted":
      return `${record.kind}/${record.attempt}/${record.by}`;
  }
}

export function cutKey(attempt: number, task: string): string {
  return `cut/${attempt}/${task}`;
}

export function applyRecord(state: ControlState, record: ControlRecord): ControlState {
  switch (record.kind) {
    case "origin": {
      const { kind: _kind, ...origin } = record;
      // What was stopped before a restore is past.
      return { origin, round: undefined };
    }
    case "round": {
      const { kind: _kind, ...begin } = record;
      // Two processes asked at the same moment: one of them is first, and the other one asks again later.
      if (stoppedWith(state) !== undefined || state.round?.phase === "cutting" || begin.attempt <= (state.round?.attempt ?? 0))
        return state;
      return { ...state, round: { ...begin, phase: "cutting", cuts: new Map() } };
    }
    default:
      return state.round?.attempt === record.attempt ? { ...state, round: advance(state.round, record) } : state;
  }
}

function advance(round: Round, record: Exclude<ControlRecord, { kind: "origin" | "round" }>): Round {
  switch (record.kind) {
    case "cut": {
      if (round.phase !== "cutting") return round;
      const cuts = new Map(round.cuts).set(record.task, record.ack);
      return { ...round, cuts, phase: cuts.size === round.taskCount ? "cut" : "cutting" };
    }
    case "aborted":
      return round.phase === "cutting" ? { ...round, phase: "aborted", reason: record.reason } : round;
    case "published":
      // Whoever wrote it had seen all cuts; they may be gone since.
      return { ...round, phase: "published", result: record.result };
  }
}

/** The savepoint that the application was stopped with: it does not go on from here. */
export function stoppedWith({ round }: ControlState): string | undefined {
  return round?.mode === "stop" && (round.phase === "cut" || round.phase === "published") ? round.id : undefined;
}

/** The number of the next savepoint's checkpoint. */
export function nextCheckpointId({ origin, round }: ControlState): number {
  return Math.max(origin?.checkpointId ?? 0, round?.checkpointId ?? 0) + 1;
}
