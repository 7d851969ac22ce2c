// How much waits in partitions: as of what was fetched, and up to now where that is asked for.
import { expect, test } from "vitest";
import { silentLog } from "../../../base/log.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { PartitionReader, type PartitionFetches } from "./partition-reader.ts";

/** A fetcher that has enough of every partition and knows where each ended when it asked last. */
function fetchedUpTo(endOffset: number): PartitionFetches {
  return {
    add: () => {},
    remove: () => {},
    setPaused: () => {},
    take: () => undefined,
    endOffset: () => endOffset,
    ready: () => Promise.resolve(),
    wake: () => {},
    close: () => {},
  };
}

function readerOf(listOffsets: KafkaClient["listOffsets"], readCommitted: boolean): PartitionReader {
  const client = { commitGroupOffsets: () => Promise.resolve(undefined), listOffsets, close: () => Promise.resolve() };
  const reader = new PartitionReader({ client, fetcher: fetchedUpTo(10), readCommitted, groupId: undefined, uid: "in", log: silentLog });
  const at = (offset: number, endOffset?: number) => ({
    offset,
    leaderEpoch: -1,
    topicId: "",
    ...(endOffset === undefined ? {} : { endOffset }),
  });
  reader.assign([
    { id: "t-0", position: at(4) },
    { id: "t-1", position: at(10, 12) },
  ]);
  return reader;
}

test("what waits is known as of the last fetch, and up to now after it was asked for; a split's end stays its end", async () => {
  const seen: unknown[] = [];
  const reader = readerOf(async (partitions, isolation) => {
    seen.push(isolation);
    return partitions.map(({ topic, partition }) => ({ topic, partition, offset: 50, leaderEpoch: 0, timestampMs: -1 }));
  }, true);
  expect([...reader.lag()]).toEqual([
    ["t-0", 6],
    ["t-1", 0],
  ]);
  await reader.refreshLag();
  expect(seen).toEqual(["read_committed"]);
  expect([...reader.lag()]).toEqual([
    ["t-0", 46],
    ["t-1", 2],
  ]);
});

test("where the broker does not answer, the reader says so and knows what it knew", async () => {
  const reader = readerOf(() => Promise.reject(new Error("away")), false);
  await expect(reader.refreshLag()).rejects.toThrow("away");
  expect(reader.lag().get("t-0")).toBe(6);
});
