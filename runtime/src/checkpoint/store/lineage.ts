// Which files make up an operator's keyed state: bases, then deltas, each for a range of key groups. Pure functions over that list.
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { SectionPart } from "../format/data-file.ts";

/** A section of a data file that counts for the key groups `[from, to)`. Plain JSON: it travels from uploaders to the publisher. */
export interface StatePart {
  /** The data file, relative to the job's folder. */
  readonly path: string;
  readonly part: SectionPart;
  readonly kind: "base" | "delta";
  /** The checkpoint that the part was first part of. */
  readonly checkpointId: number;
  /** Of a base: the last checkpoint before its scan began. Deltas up to it are contained in the base. */
  readonly sinceCheckpointId?: number;
  readonly from: number;
  readonly to: number;
  /** Stored bytes, in proportion where the range was clipped. */
  readonly sizeBytes: number;
  readonly specIds: readonly string[];
}

export interface StateSpec {
  readonly id: string;
  readonly spec: StoredTableSpec;
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

export function overlaps(a: Range, b: Range): boolean {
  return a.from < b.to && b.from < a.to;
}

/** `part` without the key groups of `cut`: none, one or two parts. */
export function withoutRange(part: StatePart, cut: Range): readonly StatePart[] {
  if (!overlaps(part, cut)) return [part];
  return [resized(part, part.from, cut.from), resized(part, cut.to, part.to)].filter((left) => left.from < left.to);
}

/** `part` for the key groups that are also in `range`; undefined when there are none. */
export function clippedTo(part: StatePart, range: Range): StatePart | undefined {
  return overlaps(part, range) ? resized(part, Math.max(part.from, range.from), Math.min(part.to, range.to)) : undefined;
}

function resized(part: StatePart, from: number, to: number): StatePart {
  const share = (to - from) / (part.to - part.from);
  return { ...part, from, to, sizeBytes: Math.round(part.sizeBytes * share) };
}

/**
 * The list after a checkpoint that brought `added`. Deltas are appended. A base takes the place of every earlier base and of every
 * delta up to its `sinceCheckpointId`, in its range; later deltas stay and apply on top of it, which makes a base that was read
 * while entries changed exact (fuzzy checkpoints: Mohan et al., "ARIES", ACM TODS 17(1), 1992). Adding a part again changes nothing.
 */
export function withParts(list: readonly StatePart[], added: readonly StatePart[]): readonly StatePart[] {
  let result = [...list];
  for (const part of [...added].sort((a, b) => a.checkpointId - b.checkpointId || (a.kind === b.kind ? 0 : a.kind === "base" ? -1 : 1))) {
    if (result.some((one) => samePart(one, part))) continue;
    if (part.kind === "base") {
      const since = part.sinceCheckpointId ?? 0;
      result = result.flatMap((one) => (one.kind === "base" || one.checkpointId <= since ? withoutRange(one, part) : [one]));
      result.push(part);
    } else result.push(...notContained(part, result));
  }
  return joinNeighbours(result.sort(applyOrder));
}

/** The order in which parts apply: bases first, then deltas by checkpoint. */
export function applyOrder(a: StatePart, b: StatePart): number {
  if (a.kind !== b.kind) return a.kind === "base" ? -1 : 1;
  return a.checkpointId - b.checkpointId || comparePath(a, b) || a.from - b.from;
}

function comparePath(a: StatePart, b: StatePart): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

// What of a delta no base contains yet: an uploader that has not heard of a published base sends deltas that are part of it.
function notContained(delta: StatePart, list: readonly StatePart[]): readonly StatePart[] {
  const bases = list.filter((one) => one.kind === "base" && (one.sinceCheckpointId ?? 0) >= delta.checkpointId);
  return bases.reduce<readonly StatePart[]>((left, base) => left.flatMap((one) => withoutRange(one, base)), [delta]);
}

// True when everything that `part` would bring is there already (perhaps joined with its neighbours).
function samePart(one: StatePart, part: StatePart): boolean {
  return (
    one.path === part.path && one.part === part.part && one.checkpointId === part.checkpointId && one.from <= part.from && part.to <= one.to
  );
}

// Subtasks of one process write into one file: their parts are one when their ranges touch.
function joinNeighbours(sorted: readonly StatePart[]): readonly StatePart[] {
  const joined: StatePart[] = [];
  for (const part of sorted) {
    const last = joined.at(-1);
    const fits =
      last !== undefined &&
      last.path === part.path &&
      last.part === part.part &&
      last.kind === part.kind &&
      last.checkpointId === part.checkpointId &&
      last.sinceCheckpointId === part.sinceCheckpointId &&
      last.to === part.from;
    if (fits) {
      const specIds = [...new Set([...last.specIds, ...part.specIds])];
      joined[joined.length - 1] = { ...last, to: part.to, sizeBytes: last.sizeBytes + part.sizeBytes, specIds };
    } else joined.push(part);
  }
  return joined;
}
