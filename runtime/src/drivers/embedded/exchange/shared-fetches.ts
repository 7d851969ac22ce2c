// A fetcher that the readers of all tasks share: each reader has its own names in it, and takes only its own partitions out again.
import type { Fetcher } from "../../../connectors/kafka/source/fetcher.ts";
import type { PartitionFetches } from "../../../connectors/kafka/source/partition-reader.ts";

export function sharedFetches(fetcher: Fetcher, owner: string): PartitionFetches {
  const splits = new Set<string>();
  const named = (splitId: string): string => `${owner}/${splitId}`;
  return {
    add(starts) {
      for (const { splitId } of starts) splits.add(splitId);
      fetcher.add(starts.map((start) => ({ ...start, splitId: named(start.splitId) })));
    },
    remove(splitId) {
      splits.delete(splitId);
      fetcher.remove(named(splitId));
    },
    setPaused: (splitId, paused) => fetcher.setPaused(named(splitId), paused),
    take: (splitId) => fetcher.take(named(splitId)),
    endOffset: (splitId) => fetcher.endOffset(named(splitId)),
    ready: () => fetcher.ready(),
    wake: () => fetcher.wake(),
    close() {
      for (const splitId of splits) fetcher.remove(named(splitId));
      splits.clear();
    },
  };
}
