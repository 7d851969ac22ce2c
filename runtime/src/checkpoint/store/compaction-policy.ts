// When an operator's state gets a new base, and when its small deltas are rolled into one: decided from the list of its parts.
import { clippedTo, type Range, type StatePart } from "./lineage.ts";

export interface CompactionOptions {
  /** A new base once the deltas since the last one are this many times its size. Default 1: a snapshot is at most twice the state. */
  readonly deltaRatio: number;
  /** ... but not for fewer delta bytes than this. Default 4 MiB. */
  readonly minDeltaBytes: number;
  /** How many deltas a range may have. Above, a small state gets a base, a large one has its deltas rolled. Default 40. */
  readonly maxDeltas: number;
  /** Up to this a state is small: a base costs less than rolling. Default 1 MiB. */
  readonly smallBaseBytes: number;
}

export const defaultCompaction: CompactionOptions = {
  deltaRatio: 1,
  minDeltaBytes: 4 * 1024 * 1024,
  maxDeltas: 40,
  smallBaseBytes: 1024 * 1024,
};

export type Compaction =
  | { readonly kind: "none" }
  | { readonly kind: "base" }
  /** Merge these deltas (neighbours in the order of checkpoints) into one. */
  | { readonly kind: "roll"; readonly parts: readonly StatePart[] };

/** What to do for the key groups `range` of one operator. */
export function decideCompaction(list: readonly StatePart[], range: Range, options: CompactionOptions): Compaction {
  const parts = list.map((part) => clippedTo(part, range)).filter((part) => part !== undefined);
  // A job's first capture holds all there is: until there is a base it counts as one.
  const firstId = parts.some((part) => part.kind === "base") ? -1 : Math.min(...parts.map((part) => part.checkpointId));
  const deltas = parts.filter((part) => part.kind === "delta" && part.checkpointId !== firstId);
  const bytesOf = (some: readonly StatePart[]): number => some.reduce((sum, part) => sum + part.sizeBytes, 0);
  const baseBytes = bytesOf(parts) - bytesOf(deltas);
  const deltaBytes = bytesOf(deltas);
  if (deltaBytes >= options.minDeltaBytes && deltaBytes > options.deltaRatio * baseBytes) return { kind: "base" };
  if (new Set(deltas.map((part) => part.checkpointId)).size <= options.maxDeltas) return { kind: "none" };
  if (baseBytes <= options.smallBaseBytes) return { kind: "base" };
  return { kind: "roll", parts: smallNeighbours(deltas) };
}

// The longest run of deltas in which none is larger than all the others together: rolling it costs no more than a few times what
// it saves, and a big rolled delta is left alone until there is as much again (as in a log-structured merge tree).
function smallNeighbours(deltas: readonly StatePart[]): readonly StatePart[] {
  for (let from = 0; from < deltas.length - 1; from++) {
    const run = deltas.slice(from);
    const rest = run.slice(1).reduce((sum, part) => sum + part.sizeBytes, 0);
    if ((run[0] as StatePart).sizeBytes <= rest) return run;
  }
  return deltas.slice(-2);
}
