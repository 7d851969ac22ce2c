// TaskManagers of the simulated world, with slices that count records instead of processing them.
import { expect } from "vitest";
import type { UploadAck } from "../../../checkpoint/upload/ack.ts";
import type {
  FinishedSplits,
  SliceAck,
  SliceId,
  SliceState,
  SliceStatus,
  SlotCommand,
  SlotEvent,
  VertexPlacement,
} from "../slot-protocol.ts";

interface SimulatedSplit {
  readonly id: string;
  position: number;
}

interface SimulatedSource {
  readonly subtask: number;
  readonly splits: SimulatedSplit[];
  readonly finished: string[];
  complete: boolean;
}

export interface SimulatedSlice {
  readonly id: SliceId;
  readonly vertices: readonly VertexPlacement[];
  state: SliceState;
  readonly sources: Map<string, SimulatedSource>;
  /** Output since the last cut, `split position`. */
  output: string[];
  pending:
    | { readonly checkpointId: number; readonly after: "go" | "hold" | "drain"; readonly ack: SliceAck; readonly output: readonly string[] }
    | undefined;
  committedId: number;
  /** When the last checkpoint was asked for. */
  triggeredMs: number | undefined;
  draining: boolean;
}

/** A record that no attempt survives. */
export interface Poison {
  readonly split: string;
  readonly position: number;
}

export class SimulatedTaskManager {
  readonly id: string;
  readonly slices = new Map<string, SimulatedSlice>();
  connected = false;
  epoch = 0;
  /** Events that no leader has taken. */
  readonly retained: { readonly index: number; readonly event: SlotEvent }[] = [];
  ports: number[];
  constructor(id: string, ports: number[]) {
    this.id = id;
    this.ports = ports;
  }

  /** The slot that the slice is in. */
  indexOf(slice: SimulatedSlice): number {
    for (const [key, one] of this.slices) if (one === slice) return Number(key.split(" ")[0]);
    return -1;
  }
}

/** `isSource` says of a vertex whether it reads splits. */
export function deployed(command: Extract<SlotCommand, { kind: "deploy" }>, isSource: (uid: string) => boolean): SimulatedSlice {
  const sources: SimulatedSlice["sources"] = new Map();
  for (const { uid, slots } of command.vertices) {
    const subtask = slots.indexOf(command.slice.slot);
    if (subtask >= 0 && isSource(uid)) sources.set(uid, { subtask, splits: [], finished: [], complete: false });
  }
  return {
    id: command.slice,
    vertices: command.vertices,
    state: "deployed",
    sources,
    output: [],
    pending: undefined,
    committedId: command.restore?.checkpointId ?? 0,
    triggeredMs: undefined,
    draining: false,
  };
}

export function assign(slice: SimulatedSlice, { assignments }: Extract<SlotCommand, { kind: "assign" }>): void {
  for (const { uid, subtask, splits, complete } of assignments) {
    const source = slice.sources.get(uid);
    expect(source?.subtask).toBe(subtask);
    for (const { split } of splits) {
      expect(
        source?.splits.some(({ id }) => id === split.id) === true || source?.finished.includes(split.id) === true,
        `${split.id} is not assigned twice`,
      ).toBe(false);
      source?.splits.push({ id: split.id, position: Number(split.position) });
    }
    if (source !== undefined) source.complete ||= complete;
  }
}

/** Takes a record of each split; a split of a bounded source ends behind `recordsPerSplit`. Gives the failure of a record that nothing survives. */
export function takeRecords(slice: SimulatedSlice, recordsPerSplit: number, poison: Poison | undefined): SlotEvent | undefined {
  for (const source of slice.sources.values()) {
    for (const split of [...source.splits]) {
      if (poison?.split === split.id && poison.position === split.position) {
        slice.state = "failed";
        const record = { splitId: split.id, position: split.position };
        const [uid] = split.id.split("-") as [string];
        return {
          ...{ slice: slice.id, kind: "failed", code: "FUNCTION_FAILED", message: "poison", fatal: false },
          ...{ uid, subtask: source.subtask, record },
        };
      }
      slice.output.push(`${split.id} ${split.position++}`);
      if (split.position >= recordsPerSplit) {
        source.splits.splice(source.splits.indexOf(split), 1);
        source.finished.push(split.id);
      }
    }
  }
  return undefined;
}

export const hasNoMore = (slice: SimulatedSlice): boolean =>
  [...slice.sources.values()].every((source) => source.complete && source.splits.length === 0);

export function ackOf(slice: SimulatedSlice, checkpointId: number, output: readonly string[]): SliceAck {
  const subtasks: UploadAck["subtasks"][number][] = [];
  for (const vertex of slice.vertices) {
    const subtask = vertex.slots.indexOf(slice.id.slot);
    if (subtask < 0) continue;
    const common = { uid: vertex.uid, kind: "k", subtask, parallelism: vertex.parallelism, specs: [], state: [], lists: [] };
    const source = slice.sources.get(vertex.uid);
    if (source !== undefined)
      subtasks.push({ ...common, splits: source.splits.map(({ id, position }) => ({ id, position, subtask, watermarkMs: null })) });
    else subtasks.push({ ...common, sink: { inline: JSON.stringify(vertex.uid.startsWith("sink") ? output : []) } });
  }
  return { checkpointId, ack: { checkpointId, files: [], subtasks, writtenBytes: 1 }, finishedSplits: finishedOf(slice) };
}

function finishedOf(slice: SimulatedSlice): readonly FinishedSplits[] {
  return [...slice.sources].flatMap(([uid, { subtask, finished }]) =>
    finished.length === 0 ? [] : [{ uid, subtask, splitIds: [...finished] }],
  );
}

export function statusOf(slice: SimulatedSlice, nowMs: number): SliceStatus {
  const { id, state, vertices, pending, committedId, triggeredMs } = slice;
  return {
    slice: id,
    state,
    vertices,
    slots: [],
    ...(pending === undefined ? {} : { pending: { checkpointId: pending.checkpointId, after: pending.after, ack: pending.ack } }),
    committedCheckpointId: committedId,
    ...(triggeredMs === undefined ? {} : { checkpointAgeMs: nowMs - triggeredMs }),
    splits: [...slice.sources].map(([uid, { subtask, splits }]) => ({ uid, subtask, splitIds: splits.map((split) => split.id) })),
    finishedSplits: finishedOf(slice),
  };
}
