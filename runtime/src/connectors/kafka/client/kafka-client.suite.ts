// The contract of the Kafka port, for every implementation.
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Compression } from "../wire/compression.ts";
import { RecordBatchBuilder } from "../wire/record-batch-builder.ts";
import type { BatchStamp } from "../wire/record-batch-builder.ts";
import { RecordBatchReader } from "../wire/record-batch-reader.ts";
import { RecordBlock } from "../wire/record-block.ts";
import type { FetchedPartition, FetchPartition } from "../wire/data-apis.ts";
import type { Isolation } from "../wire/offset-apis.ts";
import type { TransactionOwner } from "../wire/transaction-apis.ts";
import type { KafkaClient } from "./kafka-client.ts";
import { kindOfCode } from "./kafka-problem.ts";

const plainStamp: BatchStamp = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false };
const transactionTimeoutMs = 60_000;
const compressions: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** A batch of values with timestamps from `fromMs` on, one ms apart. */
export function batchOf(
  values: readonly string[],
  stamp: BatchStamp = plainStamp,
  fromMs = 1_000_000_000_000,
  compression: Compression = "none",
): Buffer {
  const builder = new RecordBatchBuilder(1 << 20, compression);
  values.forEach((value, i) => {
    const bytes = Buffer.from(value);
    builder.append(fromMs + i, bytes, -1, -1, bytes, 0, bytes.length, []);
  });
  return builder.finish(stamp);
}

const leaderNotAvailable = 5;
const mostAttempts = 200;

/** Produces to a partition and returns the broker's error code; waits for a leader that has only just been elected. */
export async function produceTo(
  client: KafkaClient,
  topic: string,
  partition: number,
  batch: Buffer,
  transactionalId: string | null = null,
): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const leaderId = client.leaderOf(topic, partition)?.leaderId ?? -1;
    const request = { transactionalId, acks: -1, timeoutMs: 10_000, batches: [{ topic, partition, batch }] } as const;
    const [result] = leaderId < 0 && attempt < mostAttempts ? [{ errorCode: leaderNotAvailable }] : await client.produce(leaderId, request);
    const code = result?.errorCode ?? -1;
    if (kindOfCode(code) !== "leader" || attempt === mostAttempts) return code;
    await new Promise((resolve) => setTimeout(resolve, 50));
    await client.topics([topic]);
  }
}

/** What the broker says of a partition and the values that a reader sees, up to the end; a broker may answer with less than there is. */
export async function fetchFrom(
  client: KafkaClient,
  topic: string,
  at: Partial<FetchPartition>,
  isolation: Isolation = "read_uncommitted",
): Promise<{ readonly partition: FetchedPartition; readonly values: readonly string[] }> {
  const entry = { topic, partition: 0, offset: 0, leaderEpoch: -1, lastFetchedEpoch: -1, maxBytes: 1 << 20, ...at };
  const leader = client.leaderOf(topic, entry.partition) ?? (await client.topics([topic]))[0]?.partitions[entry.partition];
  const reader = new RecordBatchReader("suite", { readCommitted: isolation === "read_committed" });
  const block = new RecordBlock(1000);
  const values: string[] = [];
  for (let offset = entry.offset; ; offset = reader.nextOffset) {
    const request = { isolation, maxWaitMs: 100, minBytes: 1, maxBytes: 1 << 24, partitions: [{ ...entry, offset }] };
    const answer = await client.fetch(leader?.leaderId ?? -1, request);
    const [fetched] = answer.partitions;
    if (fetched === undefined) throw new Error("the answer names no partition");
    reader.open(answer.bytes, fetched.recordsStart, fetched.recordsEnd, offset, fetched.aborted);
    while (reader.readInto(block, 1000) > 0) {
      for (let i = 0; i < block.count; i++) values.push(block.bytes.toString("utf8", block.valueStart[i], block.valueEnd[i]));
    }
    answer.release();
    const end = isolation === "read_committed" ? fetched.lastStableOffset : fetched.highWatermark;
    if (fetched.errorCode !== 0 || reader.nextOffset >= end) return { partition: fetched, values };
  }
}

export function kafkaClientSuite(implementation: string, connect: () => Promise<KafkaClient>): void {
  describe(`the Kafka port, ${implementation}`, () => {
    const run = `suite-${randomUUID()}`;
    let client: KafkaClient;
    let count = 0;
    const made: string[] = [];

    beforeAll(async () => {
      client = await connect();
    });
    afterAll(async () => {
      if (made.length > 0) await client.deleteTopics(made);
      await client.close();
    });

    const topicOf = async (partitions = 1): Promise<string> => {
      const name = `${run}-${count++}`;
      await client.createTopics([{ name, partitions, replicationFactor: -1, configs: {} }]);
      made.push(name);
      return name;
    };
    const transaction = async (suffix: string): Promise<TransactionOwner> => {
      const transactionalId = `${run}.${suffix}`;
      return { transactionalId, ...(await client.initProducerId(transactionalId, transactionTimeoutMs)) };
    };
    const stampOf = (owner: TransactionOwner, baseSequence = 0): BatchStamp => ({ ...owner, baseSequence, transactional: true });

    it("tells partitions and leaders of topics, and creates a topic once", async () => {
      const name = await topicOf(3);
      await client.createTopics([{ name, partitions: 5, replicationFactor: -1, configs: {} }]);
      const [topic] = await client.topics([name]);
      expect(topic?.partitions.map((each) => each.partition)).toEqual([0, 1, 2]);
      expect(topic?.topicId).toMatch(/^[0-9a-f]{32}$/);
      for (const each of topic?.partitions ?? []) expect(each.leaderId).toBeGreaterThanOrEqual(0);
      expect(client.leaderOf(name, 2)).toEqual(topic?.partitions[2]);
      expect(client.leaderOf(name, 3)).toBeUndefined();
      await client.createPartitions(name, 4);
      await expect.poll(async () => (await client.topics([name]))[0]?.partitions.length).toBe(4);
    });

    it("refuses a topic that does not exist, with its name", async () => {
      await expect(client.topics([`${run}-never`])).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING", subject: `topic ${run}-never` });
    });

    it("gives back what was produced, with offsets and ends", async () => {
      const name = await topicOf(2);
      expect(await produceTo(client, name, 1, batchOf(["a", "b"]))).toBe(0);
      expect(await produceTo(client, name, 1, batchOf(["c"]))).toBe(0);
      const { partition, values } = await fetchFrom(client, name, { partition: 1, offset: 1 });
      expect(values).toEqual(["b", "c"]);
      expect(partition).toMatchObject({ errorCode: 0, highWatermark: 3, logStartOffset: 0 });
      expect((await fetchFrom(client, name, { partition: 0 })).values).toEqual([]);
    });

    it("carries answers of many megabytes", async () => {
      const name = await topicOf();
      const values = Array.from({ length: 30 }, (_, i) => String.fromCodePoint(97 + (i % 26)).repeat(30_000 + i));
      for (let round = 0; round < 10; round++) expect(await produceTo(client, name, 0, batchOf(values))).toBe(0);
      const { values: seen } = await fetchFrom(client, name, { maxBytes: 1 << 24 });
      expect(seen.length).toBe(300);
      expect(seen.slice(270)).toEqual(values);
    });

    it.each(compressions)(
      "stores batches of compression %s as they are, from plain, idempotent and transactional producers",
      async (compression) => {
        const name = await topicOf();
        // Records that compress, records that do not, and an empty one.
        const values = [...Array.from({ length: 200 }, (_, i) => `${i}`.repeat(i)), randomBytes(3000).toString("base64"), ""];
        expect(await produceTo(client, name, 0, batchOf(values, plainStamp, 1, compression))).toBe(0);
        const identity = await client.initProducerId(null, transactionTimeoutMs);
        expect(
          await produceTo(client, name, 0, batchOf(["i"], { ...identity, baseSequence: 0, transactional: false }, 1, compression)),
        ).toBe(0);
        const owner = await transaction(`compression-${compression}`);
        await client.addPartitionsToTransaction(owner, [{ topic: name, partition: 0 }]);
        expect(await produceTo(client, name, 0, batchOf(["t"], stampOf(owner), 1, compression), owner.transactionalId)).toBe(0);
        await client.endTransaction(owner, true);
        const seen = async (): Promise<readonly string[]> => (await fetchFrom(client, name, {}, "read_committed")).values;
        // A commit is certain when it is answered; readers see it a little later.
        await expect.poll(async () => (await seen()).length, { timeout: 60_000 }).toBe(values.length + 2);
        expect(await seen()).toEqual([...values, "i", "t"]);
      },
    );

    it("says where the log ends that a reader has read beyond: it was cut off since", async () => {
      const name = await topicOf();
      expect(await produceTo(client, name, 0, batchOf(["a", "b", "c"]))).toBe(0);
      const leaderEpoch = client.leaderOf(name, 0)?.leaderEpoch ?? 0;
      const { partition } = await fetchFrom(client, name, { offset: 5, lastFetchedEpoch: leaderEpoch });
      expect(partition.divergence).toEqual({ epoch: leaderEpoch, endOffset: 3 });
    });

    it("finds offsets by time", async () => {
      const name = await topicOf();
      await produceTo(client, name, 0, batchOf(["a", "b", "c"], plainStamp, 5000));
      const at = async (query: "earliest" | "latest" | number): Promise<number | undefined> =>
        (await client.listOffsets([{ topic: name, partition: 0, at: query }], "read_committed"))[0]?.offset;
      expect([await at("earliest"), await at("latest"), await at(5001), await at(9000)]).toEqual([0, 3, 1, -1]);
    });

    it("says that an offset is out of range", async () => {
      const name = await topicOf();
      await produceTo(client, name, 0, batchOf(["a", "b", "c"]));
      await client.deleteRecords(name, 0, 2);
      expect((await fetchFrom(client, name, { offset: 1 })).partition.errorCode).toBe(1);
      expect((await fetchFrom(client, name, { offset: 99 })).partition.errorCode).toBe(1);
      expect((await fetchFrom(client, name, { offset: 2 })).values).toEqual(["c"]);
    });

    it("refuses a reader that knows another leader epoch", async () => {
      const name = await topicOf();
      await produceTo(client, name, 0, batchOf(["a"]));
      const epoch = (await client.topics([name]))[0]?.partitions[0]?.leaderEpoch ?? 0;
      expect((await fetchFrom(client, name, { leaderEpoch: epoch + 7 })).partition.errorCode).toBe(75);
      expect((await fetchFrom(client, name, { leaderEpoch: epoch })).partition.errorCode).toBe(0);
    });

    it("keeps a group's offsets with their metadata", async () => {
      const name = await topicOf(2);
      const group = `${run}-group`;
      expect(await client.groupOffsets(group)).toEqual([]);
      await client.commitGroupOffsets(group, [{ topic: name, partition: 1, offset: 42, leaderEpoch: 0, metadata: "so far" }]);
      expect(await client.groupOffsets(group)).toEqual([{ topic: name, partition: 1, offset: 42, leaderEpoch: 0, metadata: "so far" }]);
      expect(await client.groupOffsets(group, [{ topic: name, partition: 0 }])).toEqual([]);
    });

    it("stores a batch once, however often an idempotent producer sends it", async () => {
      const name = await topicOf();
      const identity = await client.initProducerId(null, transactionTimeoutMs);
      const batch = batchOf(["once"], { ...identity, baseSequence: 0, transactional: false });
      for (let i = 0; i < 3; i++) expect([0, 46]).toContain(await produceTo(client, name, 0, batch));
      expect(await produceTo(client, name, 0, batchOf(["gap"], { ...identity, baseSequence: 5, transactional: false }))).toBe(45);
      expect((await fetchFrom(client, name, {})).values).toEqual(["once"]);
    });

    it("shows a transaction's records when it is committed, and never when it is aborted", async () => {
      const name = await topicOf();
      const owner = await transaction("visible");
      for (const [value, commit, sequence] of [
        ["kept", true, 0],
        ["dropped", false, 1],
        ["kept too", true, 2],
      ] as const) {
        await client.addPartitionsToTransaction(owner, [{ topic: name, partition: 0 }]);
        expect(await produceTo(client, name, 0, batchOf([value], stampOf(owner, sequence)), owner.transactionalId)).toBe(0);
        const before = (await fetchFrom(client, name, {}, "read_committed")).values;
        expect(before).not.toContain(value);
        expect((await client.listOffsets([{ topic: name, partition: 0, at: "latest" }], "read_committed"))[0]?.offset).toBe(sequence * 2);
        await client.endTransaction(owner, commit);
        await expect
          .poll(async () => (await fetchFrom(client, name, {}, "read_committed")).partition.lastStableOffset)
          .toBe(sequence * 2 + 2);
      }
      expect((await fetchFrom(client, name, {}, "read_committed")).values).toEqual(["kept", "kept too"]);
      expect((await fetchFrom(client, name, {})).values).toEqual(["kept", "dropped", "kept too"]);
    });

    it("commits group offsets with the transaction or not at all, seen by whoever takes over its id", async () => {
      const name = await topicOf();
      const group = `${run}-markers`;
      let owner = await transaction("offsets");
      for (let round = 1; round <= 8; round++) {
        const offset = { topic: name, partition: 0, offset: round, leaderEpoch: -1, metadata: `m${round}` };
        await client.commitOffsetsInTransaction(owner, group, [offset]);
        await client.endTransaction(owner, round % 2 === 1);
        // The end of a transaction is answered before its markers are written; taking over the id waits for them.
        owner = await transaction("offsets");
        const kept = round % 2 === 1 ? round : round - 1;
        expect(await client.groupOffsets(group)).toEqual([{ ...offset, offset: kept, metadata: `m${kept}` }]);
      }
    });

    it("fences the earlier owner of a transactional id and aborts what it left open", async () => {
      const name = await topicOf();
      const first = await transaction("fence");
      await client.addPartitionsToTransaction(first, [{ topic: name, partition: 0 }]);
      await produceTo(client, name, 0, batchOf(["orphan"], stampOf(first)), first.transactionalId);
      expect(await client.listTransactions(["Ongoing"])).toContainEqual({
        transactionalId: first.transactionalId,
        producerId: first.producerId,
        state: "Ongoing",
      });
      expect((await client.describeTransactions([first.transactionalId]))[0]).toMatchObject({
        state: "Ongoing",
        partitions: [{ topic: name, partition: 0 }],
      });
      const second = await transaction("fence");
      expect(second.producerEpoch > first.producerEpoch || second.producerId !== first.producerId).toBe(true);
      await expect(client.endTransaction(first, true)).rejects.toMatchObject({ code: "KAFKA_FENCED" });
      await expect(client.addPartitionsToTransaction(first, [{ topic: name, partition: 0 }])).rejects.toMatchObject({
        code: "KAFKA_FENCED",
      });
      expect([47, 90]).toContain(await produceTo(client, name, 0, batchOf(["late"], stampOf(first, 1)), first.transactionalId));
      expect((await fetchFrom(client, name, {}, "read_committed")).values).toEqual([]);
      const open = (await client.listTransactions(["Ongoing"])).filter((each) => each.transactionalId === first.transactionalId);
      expect(open).toEqual([]);
    });

    it("refuses a transaction timeout above the broker's", async () => {
      await expect(client.initProducerId(`${run}.slow`, 2_000_000_000)).rejects.toMatchObject({ code: "KAFKA_TRANSACTION_TIMEOUT" });
    });
  });
}
