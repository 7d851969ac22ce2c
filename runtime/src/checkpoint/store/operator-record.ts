// What the publisher knows of one operator at a checkpoint, put together from its subtasks' messages.
import { assert } from "../../base/errors.ts";
import type { AckPayload, SubtaskAck, UploadAck } from "../upload/ack.ts";
import { type StatePart, type StateSpec, withParts } from "./lineage.ts";

/** What the coordinator adds for a source. */
export interface SourceRecord {
  /** `SplitEnumerator.snapshot()`. */
  readonly enumerator?: unknown;
  /** Ids of splits that have ended. */
  readonly finished?: readonly string[];
  /** Splits that no reader holds. */
  readonly unassigned?: readonly { readonly id: string; readonly position: unknown; readonly watermarkMs?: number }[];
}

/** The keyed state that a job's operators have in published checkpoints, by uid. */
export type Lineage = ReadonlyMap<string, { readonly parts: readonly StatePart[]; readonly specs: ReadonlyMap<string, StateSpec> }>;

export interface OperatorRecord {
  readonly uid: string;
  readonly kind: string;
  readonly parallelism: number;
  readonly watermarkMs: number | null;
  readonly parts: readonly StatePart[];
  readonly specs: ReadonlyMap<string, StateSpec>;
  readonly lists: readonly {
    readonly name: string;
    readonly redistribution: "split" | "union" | "broadcast";
    readonly parts: readonly ListPart[];
  }[];
  readonly source: ({ readonly splits: NonNullable<SubtaskAck["splits"]> } & SourceRecord) | undefined;
  readonly sink: readonly { readonly subtask: number; readonly payload: AckPayload }[];
}

export interface ListPart {
  readonly subtask: number;
  readonly entryCount: number;
  readonly payload: AckPayload;
}

/** The operators of a checkpoint, in order of their uids; those without any state are left out. */
export function operatorRecords(
  acks: readonly UploadAck[],
  sources: ReadonlyMap<string, SourceRecord>,
  lineage: Lineage,
): readonly OperatorRecord[] {
  const byUid = Map.groupBy(
    acks.flatMap((ack) => ack.subtasks),
    (subtask) => subtask.uid,
  );
  return [...byUid]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([uid, subtasks]) => operatorRecord(uid, subtasks, sources.get(uid), lineage.get(uid)))
    .filter(
      (record) =>
        record.specs.size > 0 ||
        record.parts.length > 0 ||
        record.lists.length > 0 ||
        record.source !== undefined ||
        record.sink.length > 0,
    );
}

function operatorRecord(
  uid: string,
  subtasks: readonly SubtaskAck[],
  source: SourceRecord | undefined,
  before: { readonly parts: readonly StatePart[]; readonly specs: ReadonlyMap<string, StateSpec> } | undefined,
): OperatorRecord {
  const first = subtasks[0] as SubtaskAck;
  checkComplete(uid, subtasks);
  const keyed = subtasks.some((subtask) => subtask.keyGroups !== undefined);
  const parts = keyed
    ? withParts(
        before?.parts ?? [],
        subtasks.flatMap((subtask) => subtask.state),
      )
    : [];
  const known = new Map([
    ...(keyed ? (before?.specs ?? []) : []),
    ...subtasks.flatMap((subtask) => subtask.specs.map((spec) => [spec.id, spec] as const)),
  ]);
  // Specs of today's tables stay even while they have no entries; older ones go with the last part that uses them.
  const used = new Set([...parts.flatMap((part) => part.specIds), ...subtasks.flatMap((subtask) => subtask.specs.map((spec) => spec.id))]);
  const splits = [
    ...subtasks.flatMap((subtask) => subtask.splits ?? []),
    ...(source?.unassigned ?? []).map(({ id, position, watermarkMs }) => ({
      id,
      position: position ?? null,
      subtask: 0,
      watermarkMs: watermarkMs ?? null,
    })),
  ];
  const isSource = source !== undefined || subtasks.some((subtask) => subtask.splits !== undefined);
  return {
    uid,
    kind: first.kind,
    parallelism: first.parallelism,
    watermarkMs: leastWatermark(subtasks),
    parts,
    specs: new Map([...known].filter(([id]) => used.has(id))),
    lists: listsOf(subtasks),
    source: isSource ? { splits, ...source } : undefined,
    sink: subtasks
      .flatMap(({ subtask, sink }) => (sink === undefined ? [] : [{ subtask, payload: sink }]))
      .sort((a, b) => a.subtask - b.subtask),
  };
}

function leastWatermark(subtasks: readonly SubtaskAck[]): number | null {
  const known = subtasks.map((subtask) => subtask.watermarkMs);
  return known.every((watermark) => watermark !== undefined) ? Math.min(...known) : null;
}

function listsOf(subtasks: readonly SubtaskAck[]): OperatorRecord["lists"] {
  const all = subtasks.flatMap(({ subtask, lists }) => lists.map((list) => ({ subtask, ...list })));
  return [...Map.groupBy(all, (list) => list.name)].map(([name, parts]) => {
    const { redistribution } = parts[0] as (typeof parts)[number];
    const ordered = parts
      .sort((a, b) => a.subtask - b.subtask)
      .map(({ subtask, entryCount, payload }) => ({ subtask, entryCount, payload }));
    // All instances hold the same broadcast entries: one copy is stored.
    return {
      name,
      redistribution,
      parts: redistribution === "broadcast" ? ordered.slice(0, 1) : ordered.filter((part) => part.entryCount > 0),
    };
  });
}

// A checkpoint without one of an operator's instances would lose that instance's state at the next restore.
function checkComplete(uid: string, subtasks: readonly SubtaskAck[]): void {
  const { parallelism, kind } = subtasks[0] as SubtaskAck;
  const seen = new Set(subtasks.map((subtask) => subtask.subtask));
  assert(seen.size === parallelism, `all ${parallelism} instances of ${uid} are in the checkpoint, not ${seen.size}`);
  assert(
    subtasks.every((subtask) => subtask.parallelism === parallelism && subtask.kind === kind),
    `the instances of ${uid} agree on what they are`,
  );
}
