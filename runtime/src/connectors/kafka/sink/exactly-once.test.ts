// Exactly-once where the contract does not look: lost answers at every request, other sinks' histories, old snapshots, bounds.
import { describe, expect, it } from "vitest";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import type { SinkContext, SinkWriter } from "../../../core/ports/sink.ts";
import { type SinkRow, sinkSuiteSchema } from "../../contract/index.ts";
import { SinkJob, sinkRow, writeRows } from "../../contract/sink-run.ts";
import { seeded } from "../../contract/suite.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { KafkaProblem } from "../client/kafka-problem.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { markerOffset, readHistory } from "./commit-marker.ts";
import { plainJson } from "./json-rows.suite.ts";
import { rawKafkaSink } from "./kafka-sink.ts";
import { readTopic } from "./read-topic.suite.ts";
import { sinkConfig } from "./sink-options.ts";
import type { KafkaSinkConfig, KafkaSinkOptions } from "./sink-options.ts";
import { decodeWriteAhead, encodeWriteAhead } from "./write-ahead.ts";

async function memory(options: Partial<KafkaSinkOptions<SinkRow>> = {}) {
  const kafka = new MemoryKafka();
  const reading = kafka.client();
  await reading.createTopics([{ name: "out", partitions: 1, replicationFactor: 1, configs: {} }]);
  const open = new Set<KafkaClient>();
  const config = sinkConfig({
    bootstrapServers: "m",
    topic: "out",
    format: plainJson(sinkSuiteSchema),
    lingerMs: 0,
    delivery: "exactly-once",
    ...options,
  });
  const sink = () =>
    rawKafkaSink(config as KafkaSinkConfig, () => {
      const client = kafka.client();
      open.add(client);
      return client;
    });
  const visible = async (): Promise<number[]> => {
    kafka.onRequest = () => undefined;
    kafka.onAnswer = () => undefined;
    return (await readTopic(reading, "out")).map((each) => (JSON.parse(each.value ?? "null") as SinkRow).id);
  };
  const crash = async (): Promise<void> => {
    for (const client of open) await client.close();
    open.clear();
  };
  return { kafka, reading, sink, visible, crash };
}

const context = (overrides: Partial<SinkContext> = {}): SinkContext => ({
  jobName: "job",
  uid: "sink",
  subtask: 0,
  parallelism: 1,
  clock: systemClock,
  log: silentLog,
  checkpointIntervalMs: 1000,
  ...overrides,
});

const ids = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

it("loses and repeats nothing when the process dies at any request, before or after its effect", async () => {
  const seed = 7_301_846;
  const random = seeded(seed);
  const { kafka, sink, visible, crash } = await memory({ deliveryTimeoutMs: 20 });
  const job = new SinkJob({
    sink,
    visible: async () => (await visible()).map(sinkRow),
    crash,
    dispose: () => Promise.resolve(),
  });
  let faults = 0;
  for (let life = 0; life < 150; life++) {
    let left = Math.floor(random() * 40);
    const after = random() < 0.5;
    const die = (): void => {
      if (left-- > 0) return;
      faults++;
      throw new KafkaProblem("network", "the process dies here");
    };
    kafka.onRequest = after ? () => undefined : die;
    kafka.onAnswer = after ? die : () => undefined;
    try {
      await job.start(1 + Math.floor(random() * 3));
      for (let epoch = 0; epoch < 4; epoch++) {
        await job.write(Math.floor(random() * 12));
        await job.prepare();
        if (random() < 0.8) {
          job.publish();
          await job.write(Math.floor(random() * 5));
          await job.commit();
          if (random() < 0.5) job.record();
        }
      }
    } catch (error) {
      if (!String((error as Error).message).includes("dies here") && !(error as Error).message.includes("closed")) throw error;
    }
    await job.crash();
    kafka.onRequest = () => undefined;
    kafka.onAnswer = () => undefined;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await job.start(2);
  await job.write(3);
  await job.checkpoint();
  expect(
    (await visible()).toSorted((a, b) => a - b),
    `seed ${seed}`,
  ).toEqual(ids(job.rows));
  expect(faults).toBeGreaterThan(50);
  expect(job.rows).toBeGreaterThan(200);
  await job.close();
});

describe("a restore", () => {
  async function prepared(writer: SinkWriter, checkpointId: number, from: number): Promise<Uint8Array> {
    writeRows(writer, ids(3, from));
    return Uint8Array.from(await writer.prepare(checkpointId));
  }

  it("of an older savepoint knows that it was committed, over lives and rollbacks in between", async () => {
    const { sink, visible, crash } = await memory();
    let writer = await sink().openWriter(context(), sinkSuiteSchema);
    const old = await prepared(writer, 1, 0);
    await writer.commit(1);
    let state = await prepared(writer, 2, 3);
    await writer.commit(2);
    for (let life = 0; life < 5; life++) {
      await crash();
      writer = await sink().openWriter(
        context({ restored: { checkpointId: 2 + life, committed: false, states: [state] } }),
        sinkSuiteSchema,
      );
      state = await prepared(writer, 3 + life, 6 + life * 3);
      await writer.commit(3 + life);
    }
    await crash();
    // Numbers begin again after the rollback; the lives keep them apart.
    writer = await sink().openWriter(context({ restored: { checkpointId: 1, committed: false, states: [old] } }), sinkSuiteSchema);
    expect(await visible()).toEqual(ids(21));
    state = await prepared(writer, 2, 100);
    await crash();
    writer = await sink().openWriter(context({ restored: { checkpointId: 2, committed: false, states: [state] } }), sinkSuiteSchema);
    expect(await visible()).toEqual([...ids(21), 100, 101, 102]);
    await writer.close();
  });

  it("that is recorded as committed sends nothing, even without a marker", async () => {
    const { kafka, sink, visible, crash } = await memory();
    const writer = await sink().openWriter(context(), sinkSuiteSchema);
    const state = await prepared(writer, 1, 0);
    await writer.commit(1);
    await crash();
    kafka.groups.clear();
    await (await sink().openWriter(context({ restored: { checkpointId: 1, committed: true, states: [state] } }), sinkSuiteSchema)).close();
    expect(await visible()).toEqual(ids(3));
  });

  it("that cannot know any more asks what to do, or does what the options say", async () => {
    for (const [onUnknownCommit, expected] of [
      ["fail", []],
      ["resend", ids(3)],
      ["skip", []],
    ] as const) {
      const { kafka, sink, visible, crash } = await memory({ onUnknownCommit });
      const clock = new ManualClock(1_000_000);
      const writer = await sink().openWriter(context({ clock }), sinkSuiteSchema);
      const state = await prepared(writer, 1, 0);
      await crash();
      kafka.groups.clear();
      clock.advance(7 * 24 * 3_600_000);
      const restored = { checkpointId: 1, committed: false, states: [state] };
      const opening = sink().openWriter(context({ clock, restored }), sinkSuiteSchema);
      if (onUnknownCommit === "fail")
        await expect(opening).rejects.toMatchObject({ code: "KAFKA_COMMIT_UNKNOWN", subject: "kafka sink sink" });
      else await (await opening).close();
      expect(await visible(), onUnknownCommit).toEqual(expected);
    }
  });

  it("refuses a state that is damaged, and takes that of an at-least-once sink", async () => {
    const { sink, crash } = await memory();
    const writer = await sink().openWriter(context(), sinkSuiteSchema);
    const state = await prepared(writer, 1, 0);
    await crash();
    for (const damaged of [state.slice(0, -1), state.slice(0, 20), Uint8Array.of(9, ...state.slice(1)), Uint8Array.of(...state, 1)]) {
      const restored = { checkpointId: 1, committed: false, states: [damaged] };
      await expect(sink().openWriter(context({ restored }), sinkSuiteSchema)).rejects.toMatchObject({ code: "SINK_STATE_CORRUPT" });
    }
    await (
      await sink().openWriter(context({ restored: { checkpointId: 1, committed: false, states: [new Uint8Array(0)] } }), sinkSuiteSchema)
    ).close();
  });
});

it("stops a writer whose id another one has taken over, with nothing of it visible", async () => {
  const { sink, visible } = await memory();
  const old = await sink().openWriter(context(), sinkSuiteSchema);
  writeRows(old, ids(3));
  const next = await sink().openWriter(context(), sinkSuiteSchema);
  await expect(old.prepare(1)).rejects.toMatchObject({ code: "KAFKA_FENCED" });
  expect(() => writeRows(old, ids(1))).toThrow(expect.objectContaining({ code: "KAFKA_FENCED" }));
  writeRows(next, ids(2, 10));
  await next.prepare(1);
  await next.commit(1);
  expect(await visible()).toEqual([10, 11]);
  await old.close();
  await next.close();
});

it("goes on writing while commits are outstanding, up to a bound", async () => {
  const { reading, sink, visible } = await memory();
  const writer = await sink().openWriter(context(), sinkSuiteSchema);
  for (let checkpoint = 1; checkpoint <= 10; checkpoint++) {
    writeRows(writer, ids(2, checkpoint * 2));
    await writer.prepare(checkpoint);
  }
  expect(await visible()).toEqual([]);
  await writer.commit(7);
  expect(await visible()).toEqual(ids(14, 2));
  await writer.commit(10);
  expect(await visible()).toEqual(ids(20, 2));
  const stuck = async (): Promise<void> => {
    for (let checkpoint = 11; checkpoint < 60; checkpoint++) {
      writeRows(writer, ids(1));
      await writer.prepare(checkpoint);
    }
  };
  await expect(stuck()).rejects.toMatchObject({ code: "KAFKA_COMMITS_BEHIND" });
  await writer.close();
  expect(await reading.listTransactions(["Ongoing"])).toEqual([]);
});

it("fails when the output of an epoch passes its bound", async () => {
  const { sink } = await memory({ maxEpochBytes: 2000, batchBytes: 1024 });
  const writer = await sink().openWriter(context(), sinkSuiteSchema);
  const writing = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) writeRows(writer, ids(5, i * 5));
    await writer.prepare(1);
  };
  await expect(writing()).rejects.toMatchObject({ code: "KAFKA_EPOCH_TOO_LARGE" });
  await writer.close();
});

it("keeps the newest lives in a marker that stays below the broker's limit", () => {
  let metadata = "";
  for (let life = 0; life < 1000; life++)
    metadata = markerOffset(
      "t",
      `life-${life}`,
      life * 1000,
      readHistory([{ topic: "t", partition: 0, offset: 0, leaderEpoch: -1, metadata }]),
    ).metadata;
  const history = readHistory([{ topic: "t", partition: 0, offset: 0, leaderEpoch: -1, metadata }]);
  expect(metadata.length).toBeLessThan(4096);
  expect(history.size).toBeGreaterThan(100);
  expect([...history.keys()].slice(0, 3)).toEqual(["life-999", "life-998", "life-997"]);
  expect(history.get("life-950")).toBe(950_000);
});

it("stores write-ahead data that reads back the same", () => {
  const ahead = {
    life: "l",
    subtask: 3,
    slots: 2,
    writtenAtMs: 1_700_000_000_123,
    epochs: [
      { checkpointId: 2 ** 40, batches: [{ topic: "é", partition: 0, bytes: Buffer.from("abc") }] },
      { checkpointId: 2 ** 40 + 1, batches: [] },
    ],
  };
  expect(decodeWriteAhead(encodeWriteAhead(ahead), "u")).toEqual(ahead);
});
