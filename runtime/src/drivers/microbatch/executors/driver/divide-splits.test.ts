// What a batch takes of splits, cut into pieces: as many as are wanted, in proportion, without a gap, and only where splits are too few.
import { describe, expect, test } from "vitest";
import { PartitionEnumerator } from "../../../../connectors/kafka/source/partition-enumerator.ts";
import { sourceConfig } from "../../../../connectors/kafka/source/source-options.ts";
import type { SourceSplit } from "../../../../core/ports/source.ts";
import { divideSplits, evenly } from "./divide-splits.ts";

const enumerator = new PartitionEnumerator(sourceConfig({ bootstrapServers: "127.0.0.1:1", topic: "bids" }), {} as never);
const split = (partition: number, offset: number, endOffset?: number): SourceSplit => ({
  id: `bids-${partition}`,
  position: { offset, leaderEpoch: 3, topicId: "t", ...(endOffset === undefined ? {} : { endOffset }) },
});
const ranges = (takes: Readonly<Record<string, number>>, minTasks: number): unknown =>
  divideSplits(enumerator, [split(0, 100), split(1, 0), split(2, 7)], new Map(Object.entries(takes)), minTasks)?.map(
    ({ split: { id }, division }) => [
      id,
      ...division.pieces.map(({ position }) => {
        const { offset, endOffset } = position as { readonly offset: number; readonly endOffset: number };
        return [offset, endOffset];
      }),
    ],
  );

describe("splits that are too few", () => {
  test("are cut in proportion to what is taken of them, without a gap", () => {
    expect(ranges({ "bids-0": 10, "bids-1": 30, "bids-2": 0 }, 4)).toEqual([
      ["bids-0", [100, 110]],
      ["bids-1", [0, 10], [10, 20], [20, 30]],
    ]);
  });

  test("are never cut into more pieces than there are records", () => {
    expect(ranges({ "bids-0": 2, "bids-1": 0, "bids-2": 0 }, 100)).toEqual([["bids-0", [100, 101], [101, 102]]]);
  });

  test("are left whole where they are enough, where nothing waits, and where nobody asks", () => {
    expect(ranges({ "bids-0": 10, "bids-1": 30, "bids-2": 5 }, 3)).toBeUndefined();
    expect(ranges({ "bids-0": 0 }, 8)).toBeUndefined();
    expect(ranges({ "bids-0": 10 }, 0)).toBeUndefined();
  });
});

test("pieces have whole lengths that differ by one at most", () => {
  for (const [total, pieces] of [
    [10, 3],
    [1, 1],
    [7, 7],
    [1000, 33],
  ] as const) {
    const lengths = evenly(total, pieces);
    expect(lengths).toHaveLength(pieces);
    expect(lengths.reduce((sum, one) => sum + one, 0)).toBe(total);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
  }
});

describe("a divided Kafka partition", () => {
  test("goes on behind its last piece with the leader epoch that was read there, and keeps the end of its own", () => {
    for (const end of [undefined, 500]) {
      const division = enumerator.divide(split(0, 100, end), [10, 20]);
      const last = { id: "bids-0", position: { offset: 130, leaderEpoch: 5, topicId: "t", endOffset: 130 } };
      expect(division.behind(last)).toEqual({
        ...split(0, 130, end),
        position: { ...(split(0, 130, end).position as object), leaderEpoch: 5 },
      });
    }
  });

  test("knows nothing of the record in front of a piece, but of the first", () => {
    expect(
      enumerator.divide(split(0, 100), [10, 20]).pieces.map(({ position }) => (position as { readonly leaderEpoch: number }).leaderEpoch),
    ).toEqual([3, -1]);
  });
});
