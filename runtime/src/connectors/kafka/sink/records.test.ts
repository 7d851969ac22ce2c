// What the sink writes for a row: key, value, headers, timestamp, topic and partition.
import { expect, it } from "vitest";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { Batch, noTime, rowKind, type RowKind, Rows } from "../../../core/batch/batch.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import type { SinkContext } from "../../../core/ports/sink.ts";
import { int53, int64, string } from "../../../core/schema/field.ts";
import { schema, type RowType } from "../../../core/schema/schema.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { keyPartition } from "../wire/murmur2.ts";
import { plainJson } from "./json-rows.suite.ts";
import { rawKafkaSink } from "./kafka-sink.ts";
import { readTopic, type SeenRecord } from "./read-topic.suite.ts";
import { sinkConfig } from "./sink-options.ts";
import type { KafkaSinkConfig, KafkaSinkOptions } from "./sink-options.ts";

const bids = schema({ id: int53(), user: string().nullable(), big: int64() });
type Bid = RowType<typeof bids>;
const bid = (id: number, user: string | null = `user-${id}`): Bid => ({ id, user, big: 2n ** 60n + BigInt(id) });

interface RowCase {
  readonly row: Bid;
  readonly timeMs?: number;
  readonly kind?: RowKind;
}

const context = (overrides: Partial<SinkContext> = {}): SinkContext => ({
  jobName: "job",
  uid: "out",
  subtask: 0,
  parallelism: 1,
  clock: systemClock,
  log: silentLog,
  checkpointIntervalMs: 1000,
  ...overrides,
});

async function write(
  options: Partial<KafkaSinkOptions<Bid>>,
  cases: readonly RowCase[],
  topics: readonly string[] = ["out"],
  batches = 1,
): Promise<readonly SeenRecord[]> {
  const kafka = new MemoryKafka();
  const reading = kafka.client();
  await reading.createTopics(topics.map((name) => ({ name, partitions: 4, replicationFactor: 1, configs: {} })));
  const config = sinkConfig({ bootstrapServers: "memory:1", topic: "out", format: plainJson(bids), ...options });
  const writer = await rawKafkaSink(config as KafkaSinkConfig, () => kafka.client()).openWriter(
    context({ clock: new ManualClock(777) }),
    bids,
  );
  const put = rowWriter(bids);
  for (let b = 0; b < batches; b++) {
    const rows = new Rows(bids, cases.length);
    rows.ready.fill(1);
    rows.size = cases.length;
    for (const [i, { row, timeMs = noTime, kind = rowKind.insert }] of cases.entries()) {
      put(rows, i, row);
      rows.times[i] = timeMs;
      rows.setKind(i, kind);
    }
    writer.write(new Batch(rows));
  }
  await writer.prepare(1);
  await writer.commit(1);
  await writer.close();
  const seen: SeenRecord[] = [];
  for (const topic of topics) seen.push(...(await readTopic(reading, topic)));
  return seen;
}

it("puts keyed records where Kafka's Java client puts them, whatever the key's type", async () => {
  const cases = Array.from({ length: 20 }, (_, i) => ({ row: bid(i) }));
  const keys: readonly (readonly [KafkaSinkOptions<Bid>["key"], (i: number) => string])[] = [
    ["user", (i) => `user-${i}`],
    ["id", (i) => String(i)],
    ["big", (i) => String(2n ** 60n + BigInt(i))],
    [(row) => `${row.user}!`, (i) => `user-${i}!`],
    [(row) => Buffer.from([0xc3, 0xa9, 65 + row.id]), (i) => `é${String.fromCodePoint(65 + i)}`],
  ];
  for (const [key, expected] of keys) {
    const seen = await write({ key: key as string }, cases);
    expect(new Set(seen.map((each) => each.key))).toEqual(new Set(cases.map((_, i) => expected(i))));
    for (const each of seen) {
      const bytes = Buffer.from(each.key ?? "");
      expect(each.partition).toBe(keyPartition(bytes, 0, bytes.length, 4));
    }
  }
});

it("fills one partition after the other where rows have no key", async () => {
  const cases = Array.from({ length: 400 }, (_, i) => ({ row: bid(i, "x".repeat(50)) }));
  const seen = await write({ batchBytes: 4096 }, cases);
  expect(seen.every((each) => each.key === null)).toBe(true);
  expect(new Set(seen.map((each) => each.partition))).toEqual(new Set([0, 1, 2, 3]));
  expect(seen.length).toBe(400);
  const nulls = await write({ key: "user" }, [{ row: bid(1, null) }]);
  expect(nulls.map((each) => each.key)).toEqual([null]);
});

it("asks the partitioner, and refuses what it makes up", async () => {
  const cases = Array.from({ length: 8 }, (_, i) => ({ row: bid(i) }));
  const seen = await write({ partitioner: (row, partitions) => row.id % partitions }, cases);
  for (const each of seen) expect((JSON.parse(each.value ?? "") as { id: number }).id % 4).toBe(each.partition);
  for (const wrong of [4, -1, 1.5, Number.NaN])
    await expect(write({ partitioner: () => wrong }, cases)).rejects.toMatchObject({ code: "KAFKA_RECORD_REFUSED" });
});

it("stamps records with event time, the clock, or what the row says", async () => {
  const cases = [
    { row: bid(1), timeMs: 1234.9 },
    { row: bid(2) },
    { row: bid(3), timeMs: -5 },
    { row: bid(4), timeMs: Number.POSITIVE_INFINITY },
  ];
  const stamps = async (options: Partial<KafkaSinkOptions<Bid>>): Promise<readonly number[]> =>
    (await write({ key: () => "same", ...options }, cases)).map((each) => each.timestampMs);
  expect(await stamps({})).toEqual([1234, 777, 777, 777]);
  expect(await stamps({ timestamp: "now" })).toEqual([777, 777, 777, 777]);
  expect(await stamps({ timestamp: (row) => row.id * 10 })).toEqual([10, 20, 30, 40]);
});

it("writes headers", async () => {
  const [seen] = await write(
    {
      headers: (row) => [
        ["id", Buffer.from(String(row.id))],
        ["none", null],
        ["id", Buffer.alloc(0)],
      ],
    },
    [{ row: bid(5) }],
  );
  expect(seen?.headers).toEqual([
    ["id", Buffer.from("5")],
    ["none", null],
    ["id", Buffer.alloc(0)],
  ]);
});

it("writes deletes as records without a value, and leaves out what an update replaces", async () => {
  const cases: readonly RowCase[] = [
    { row: bid(1) },
    { row: bid(1), kind: rowKind.updateBefore },
    { row: bid(2, "user-1"), kind: rowKind.updateAfter },
    { row: bid(2, "user-1"), kind: rowKind.delete },
  ];
  const seen = await write({ mode: "upsert", key: "user" }, cases);
  expect(seen.map((each) => [each.key, each.value === null])).toEqual([
    ["user-1", false],
    ["user-1", false],
    ["user-1", true],
  ]);
});

it("sends rows to the topics that they name, in order, also while topics are looked up", async () => {
  const topics = ["out", "a", "b", "c"];
  const cases = Array.from({ length: 60 }, (_, i) => ({ row: bid(i) }));
  for (const delivery of ["at-least-once", "exactly-once"] as const) {
    const seen = await write({ topic: (row) => topics[row.id % 4] as string, key: () => "same", delivery }, cases, topics, 3);
    expect(seen.length).toBe(180);
    for (const [t, topic] of topics.entries()) {
      const ids = seen.slice(t * 45, t * 45 + 45).map((each) => (JSON.parse(each.value ?? "") as { id: number }).id);
      expect(ids, topic).toEqual([0, 1, 2].flatMap(() => cases.map(({ row }) => row.id).filter((id) => id % 4 === t)));
    }
  }
});

it("fails when a row names a topic that does not exist, or none", async () => {
  await expect(write({ topic: () => "never" }, [{ row: bid(1) }])).rejects.toMatchObject({
    code: "KAFKA_TOPIC_MISSING",
    subject: "topic never",
  });
  await expect(write({ topic: () => "" }, [{ row: bid(1) }])).rejects.toMatchObject({ code: "KAFKA_RECORD_REFUSED" });
});

it("refuses checkpoints that are further apart than a transaction may be open", async () => {
  const kafka = new MemoryKafka();
  await kafka.client().createTopics([{ name: "out", partitions: 1, replicationFactor: 1, configs: {} }]);
  const config = sinkConfig({
    bootstrapServers: "m",
    topic: "out",
    format: plainJson(bids),
    delivery: "exactly-once",
    transactionTimeoutMs: 60_000,
  });
  const sink = rawKafkaSink(config as KafkaSinkConfig, () => kafka.client());
  for (const checkpointIntervalMs of [60_000, Number.POSITIVE_INFINITY]) {
    await expect(sink.openWriter(context({ checkpointIntervalMs }), bids)).rejects.toMatchObject({
      code: "KAFKA_TRANSACTION_TIMEOUT",
      subject: "kafka sink out",
    });
  }
});
