// Which tasks share what a batch takes of a source that has fewer splits than there are to be tasks: each split's part is cut in proportion to it.
import type { DividedSplit, SourceSplit, SplitEnumerator } from "../../../../core/ports/source.ts";
import type { ReadResult, ReadTask } from "../messages.ts";

/** How long a connector may take to learn what waits, ms. */
const learnMs = 1000;

/** What a batch takes of one split, cut into pieces. */
export interface DividedTake {
  readonly split: SourceSplit;
  /** What it takes, as the connector counts what waits. */
  readonly records: number;
  readonly division: DividedSplit;
}

/** Undefined where splits with records are tasks enough, or cannot be divided. */
export function divideSplits(
  enumerator: SplitEnumerator,
  splits: readonly SourceSplit[],
  takes: ReadonlyMap<string, number>,
  minTasks: number,
): readonly DividedTake[] | undefined {
  if (enumerator.divide === undefined) return undefined;
  const taken = splits.map((split) => ({ split, records: takes.get(split.id) ?? 0 })).filter(({ records }) => records > 0);
  if (taken.length === 0 || taken.length >= minTasks) return undefined;
  const total = taken.reduce((sum, { records }) => sum + records, 0);
  return taken.flatMap(({ split, records }) => {
    const pieces = Math.min(records, Math.max(1, Math.round((minTasks * records) / total)));
    const division = enumerator.divide?.(split, evenly(records, pieces));
    return division === undefined ? [] : [{ split, records, division }];
  });
}

/** A task for each piece, in order, with a reader of its own; `number` tells apart those of one batch from another's. */
export function pieceTasks(divided: readonly DividedTake[], scan: string, number: number, partitions: number): readonly ReadTask[] {
  const work = { kind: "poll", quotas: null, maxRecords: null, maxMs: learnMs } as const;
  return divided.flatMap(({ split, division }) =>
    division.pieces.map((piece, at) => {
      const group = { scan, name: `${scan}#${number}/${split.id}/${at}`, splits: [piece] };
      // A piece is read to its end, however long the source has nothing.
      return { kind: "read", group, bounded: true, partitions, work };
    }),
  );
}

/** Where each split goes on behind its last piece, and how many records the batch has of it; `results` are those of the groups, in order. */
export function behindPieces(
  divided: readonly DividedTake[],
  results: readonly Pick<ReadResult, "range" | "records">[],
  from: readonly SourceSplit[],
): { readonly splits: readonly SourceSplit[]; readonly counts: Readonly<Record<string, number>>; readonly records: number } {
  const counts: Record<string, number> = {};
  const behind = new Map<string, SourceSplit>();
  let first = 0;
  for (const { split, division } of divided) {
    const own = results.slice(first, first + division.pieces.length);
    first += own.length;
    counts[split.id] = own.reduce((sum, { records }) => sum + records, 0);
    behind.set(split.id, division.behind(own.at(-1)?.range.to[0] as SourceSplit));
  }
  return {
    splits: from.map((split) => behind.get(split.id) ?? split),
    counts,
    records: results.reduce((sum, { records }) => sum + records, 0),
  };
}

/** What still waits. */
export function lagsBehind(divided: readonly DividedTake[], lags: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  return { ...lags, ...Object.fromEntries(divided.map(({ split: { id }, records }) => [id, Math.max(0, (lags[id] ?? 0) - records)])) };
}

/** `pieces` whole numbers that make `total`, of which none differs from another by more than one. */
export function evenly(total: number, pieces: number): readonly number[] {
  return Array.from({ length: pieces }, (_, k) => Math.floor(((k + 1) * total) / pieces) - Math.floor((k * total) / pieces));
}
