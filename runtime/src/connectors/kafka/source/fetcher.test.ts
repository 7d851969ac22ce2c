// Fetching through what happens to clusters: elections, broken connections, lost offsets, truncation; within its bounds.
import { expect, it } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { batchOf, produceTo } from "../client/kafka-client.suite.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { KafkaProblem } from "../client/kafka-problem.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { RecordBatchReader } from "../wire/record-batch-reader.ts";
import { RecordBlock } from "../wire/record-block.ts";
import { Fetcher } from "./fetcher.ts";
import type { FetcherOptions } from "./fetcher.ts";
import type { OutOfRangePolicy } from "./lost-offsets.ts";

const values = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `v${from + i}`);

interface Setup {
  readonly kafka: MemoryKafka;
  readonly client: KafkaClient;
  readonly fetcher: Fetcher;
  /** Reads a split until `count` records came. */
  read(partition: number, count: number): Promise<string[]>;
}

async function setup(
  options: Partial<FetcherOptions> = {},
  partitions = 1,
  start: { offset?: number; leaderEpoch?: number; topicId?: string } = {},
): Promise<Setup> {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  await client.createTopics([{ name: "t", partitions, replicationFactor: 1, configs: {} }]);
  const fetcher = new Fetcher(
    {
      isolation: "read_committed",
      onOffsetOutOfRange: "fail",
      maxPartitionBytes: 1 << 20,
      maxBufferedBytes: 1 << 24,
      maxWaitMs: 50,
      failureTimeoutMs: 60_000,
      ...options,
    },
    { client: kafka.client(), clock: systemClock, log: silentLog, random: () => 0.5 },
  );
  const begin = (): void =>
    fetcher.add(
      Array.from({ length: partitions }, (_, partition) => ({
        splitId: `t-${partition}`,
        topic: "t",
        partition,
        offset: 0,
        leaderEpoch: -1,
        topicId: "",
        ...start,
      })),
    );
  const readers = Array.from({ length: partitions }, (_, partition) => new RecordBatchReader(`t-${partition}`, { readCommitted: true }));
  const block = new RecordBlock(100);
  let begun = false;
  const read = async (partition: number, count: number): Promise<string[]> => {
    if (!begun) begin();
    begun = true;
    const found: string[] = [];
    while (found.length < count) {
      const piece = fetcher.take(`t-${partition}`);
      if (piece === undefined) {
        await fetcher.ready();
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const reader = readers[partition] as RecordBatchReader;
      reader.open(piece.lease.bytes, piece.start, piece.end, piece.fromOffset, piece.aborted);
      while (reader.readInto(block, 100) > 0)
        for (let i = 0; i < block.count; i++) found.push(block.bytes.toString("utf8", block.valueStart[i], block.valueEnd[i]));
      piece.lease.give();
    }
    return found;
  };
  return { kafka, client, fetcher, read };
}

it("goes on after elections and broken connections without a gap or a repeat", async () => {
  const { kafka, client, fetcher, read } = await setup();
  let requests = 0;
  kafka.onRequest = (request) => {
    if (request === "fetch" && requests++ % 3 === 1) throw new KafkaProblem("network", "cut");
  };
  const seen: string[] = [];
  for (let round = 0; round < 6; round++) {
    await produceTo(client, "t", 0, batchOf(values(10, round * 10)));
    seen.push(...(await read(0, 10)));
    const log = kafka.log({ topic: "t", partition: 0 });
    if (log !== undefined) log.leaderEpoch++;
  }
  expect(seen).toEqual(values(60));
  fetcher.close();
});

it("fails when a partition cannot be fetched for too long, and says which", async () => {
  const { kafka, client, fetcher, read } = await setup({ failureTimeoutMs: 400 });
  await produceTo(client, "t", 0, batchOf(values(3)));
  expect(await read(0, 3)).toEqual(values(3));
  kafka.onRequest = (request) => {
    if (request === "fetch") throw new KafkaProblem("network", "nobody there");
  };
  await expect(read(0, 1)).rejects.toMatchObject({ code: "KAFKA_BROKER_UNREACHABLE", subject: "topic t, partition 0" });
  fetcher.close();
});

const policies: readonly (readonly [OutOfRangePolicy, string[]])[] = [
  ["earliest", ["v6", "v7", "v8", "v9", "v10"]],
  ["latest", ["v10"]],
];
it.each(policies)("goes on from the %s offset where the options allow it", async (onOffsetOutOfRange, expected) => {
  const { kafka, client, fetcher, read } = await setup({ onOffsetOutOfRange }, 1, { offset: 2 });
  await produceTo(client, "t", 0, batchOf(values(10)));
  await client.deleteRecords("t", 0, 6);
  const reading = read(0, expected.length);
  while (Number.isNaN(fetcher.endOffset("t-0"))) await new Promise((resolve) => setTimeout(resolve, 5));
  await produceTo(client, "t", 0, batchOf(["v10"]));
  expect(await reading).toEqual(expected);
  fetcher.close();
  expect(kafka.log({ topic: "t", partition: 0 })?.startOffset).toBe(6);
});

it("fails for an offset that is gone, naming the range that is there", async () => {
  const { client, fetcher, read } = await setup({}, 1, { offset: 2 });
  await produceTo(client, "t", 0, batchOf(values(10)));
  await client.deleteRecords("t", 0, 6);
  const failure = read(0, 1);
  await expect(failure).rejects.toMatchObject({ code: "KAFKA_OFFSET_OUT_OF_RANGE", subject: "split t-0" });
  await expect(failure).rejects.toThrow("offset 2 is not in the log, which holds 6 to 10");
  fetcher.close();
});

it("goes on when a broker only did not know its own end yet", async () => {
  const { kafka, client, fetcher, read } = await setup();
  await produceTo(client, "t", 0, batchOf(values(4)));
  expect(await read(0, 4)).toEqual(values(4));
  const log = kafka.log({ topic: "t", partition: 0 });
  if (log === undefined) throw new Error("no log");
  log.endOffset = 2;
  const reading = read(0, 3);
  await new Promise((resolve) => setTimeout(resolve, 100));
  log.endOffset = 4;
  await produceTo(client, "t", 0, batchOf(values(3, 4)));
  expect(await reading).toEqual(values(3, 4));
  fetcher.close();
});

it("fails for an offset that stays above the end", async () => {
  const { client, fetcher, read } = await setup({ failureTimeoutMs: 400 }, 1, { offset: 50 });
  await produceTo(client, "t", 0, batchOf(values(4)));
  await expect(read(0, 1)).rejects.toMatchObject({ code: "KAFKA_OFFSET_OUT_OF_RANGE" });
  fetcher.close();
});

it("notices when records that were read are no longer in the log", async () => {
  for (const policy of ["fail", "earliest"] as const) {
    const { kafka, client, fetcher, read } = await setup({ onOffsetOutOfRange: policy });
    await produceTo(client, "t", 0, batchOf(values(4)));
    await produceTo(client, "t", 0, batchOf(values(4, 4)));
    expect(await read(0, 8)).toEqual(values(8));
    kafka.log({ topic: "t", partition: 0 })?.truncate(4);
    await produceTo(client, "t", 0, batchOf(["other"]));
    if (policy === "fail") await expect(read(0, 1)).rejects.toMatchObject({ code: "KAFKA_LOG_TRUNCATED", subject: "split t-0" });
    else expect(await read(0, 1)).toEqual(["other"]);
    fetcher.close();
  }
});

it("notices at a restore that the log lost what the snapshot has read", async () => {
  const { kafka, client, fetcher, read } = await setup({}, 1, { offset: 8, leaderEpoch: 0 });
  await produceTo(client, "t", 0, batchOf(values(4)));
  kafka.log({ topic: "t", partition: 0 })?.truncate(4);
  await produceTo(client, "t", 0, batchOf(values(6)));
  await expect(read(0, 1)).rejects.toMatchObject({ code: "KAFKA_LOG_TRUNCATED" });
  fetcher.close();
});

it("refuses to go on in a topic that was made again under its name", async () => {
  const { client, fetcher, read } = await setup({}, 1, { topicId: "0".repeat(31).concat("f") });
  await produceTo(client, "t", 0, batchOf(values(4)));
  await expect(read(0, 1)).rejects.toMatchObject({ code: "KAFKA_TOPIC_RECREATED", subject: "split t-0" });
  fetcher.close();
});

it("holds no more bytes than it may, and goes on when they are read", async () => {
  const { client, fetcher, read } = await setup({ maxPartitionBytes: 4000, maxBufferedBytes: 10_000 }, 4);
  for (let partition = 0; partition < 4; partition++) {
    for (let at = 0; at < 40; at++) await produceTo(client, "t", partition, batchOf(values(20, at * 20)));
  }
  const seen: string[][] = [[], [], [], []];
  for (let round = 0; round < 400 && seen.some((each) => each.length < 800); round++) {
    const partition = round % 4;
    const had = seen[partition] as string[];
    if (had.length < 800) had.push(...(await read(partition, 1)));
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(fetcher.bufferedBytes).toBeLessThan(10_000 + 4 * 4000);
  }
  for (const each of seen) expect(each).toEqual(values(800));
  fetcher.close();
  expect(fetcher.bufferedBytes).toBe(0);
});

it("reads batches that are larger than it asks for", async () => {
  const { client, fetcher, read } = await setup({ maxPartitionBytes: 1024 });
  await produceTo(client, "t", 0, batchOf(["x".repeat(100_000), "y"]));
  expect((await read(0, 2)).map((each) => each.length)).toEqual([100_000, 1]);
  fetcher.close();
});

it("does not let idle partitions keep busy ones waiting", async () => {
  const { client, fetcher, read } = await setup({ maxWaitMs: 60_000, maxPartitionBytes: 1024 }, 6);
  for (let partition = 0; partition < 2; partition++)
    for (let at = 0; at < 50; at++) await produceTo(client, "t", partition, batchOf(values(50, at * 50)));
  const startedAtMs = Date.now();
  for (let partition = 0; partition < 2; partition++) expect((await read(partition, 2500)).length).toBe(2500);
  expect(Date.now() - startedAtMs).toBeLessThan(50_000);
  fetcher.close();
});

it("goes on with the others while a paused partition's records take all the room that there is", async () => {
  const { client, fetcher, read } = await setup({ maxPartitionBytes: 4000, maxBufferedBytes: 6000 }, 2);
  for (let at = 0; at < 40; at++) await produceTo(client, "t", 0, batchOf(values(50, at * 50)));
  await read(0, 50);
  await expect.poll(() => fetcher.bufferedBytes, { interval: 1, timeout: 60_000 }).toBeGreaterThanOrEqual(6000);
  fetcher.setPaused("t-0", true);
  const seen: string[] = [];
  for (let at = 0; at < 40; at++) await produceTo(client, "t", 1, batchOf(values(50, at * 50)));
  while (seen.length < 2000) {
    seen.push(...(await read(1, 1)));
    expect(fetcher.bufferedBytes).toBeLessThan(6000 + 4 * 4000);
  }
  expect(seen).toEqual(values(2000));
  fetcher.close();
});

it("keeps a paused partition's records for later", async () => {
  const { client, fetcher, read } = await setup({}, 2);
  await produceTo(client, "t", 0, batchOf(values(5)));
  await produceTo(client, "t", 1, batchOf(values(5)));
  expect(await read(1, 5)).toEqual(values(5));
  fetcher.setPaused("t-0", true);
  await produceTo(client, "t", 1, batchOf(values(5, 5)));
  expect(await read(1, 5)).toEqual(values(5, 5));
  fetcher.setPaused("t-0", false);
  expect(await read(0, 5)).toEqual(values(5));
  fetcher.close();
});
