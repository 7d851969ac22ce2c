// Which checkpoints stay.
import type { PointerEntry } from "./latest-pointer.ts";

export interface Retention {
  /** How many checkpoints are kept at most. Default 3. */
  readonly count: number;
  /** Checkpoints older than this go even if there are fewer, ms; the latest always stays. Default Infinity. */
  readonly maxAgeMs: number;
}

export const defaultRetention: Retention = { count: 3, maxAgeMs: Number.POSITIVE_INFINITY };

/** Parts `checkpoints` (newest first) into those that stay and those that go. The first and `pinned` ones stay. */
export function retain(
  checkpoints: readonly PointerEntry[],
  retention: Retention,
  nowMs: number,
  pinned: ReadonlySet<number>,
): { readonly kept: readonly PointerEntry[]; readonly dropped: readonly PointerEntry[] } {
  const stays = (entry: PointerEntry, place: number): boolean =>
    place === 0 || pinned.has(entry.checkpointId) || (place < retention.count && nowMs - entry.createdMs <= retention.maxAgeMs);
  return { kept: checkpoints.filter(stays), dropped: checkpoints.filter((entry, place) => !stays(entry, place)) };
}
