// The producer through lost answers, refused batches and elections: every record once and in order; bounds; what is fatal.
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { KafkaProblem } from "../client/kafka-problem.ts";
import { MemoryKafka } from "../client/memory-kafka.ts";
import { noHeaders } from "../wire/record-batch-builder.ts";
import { BufferBudget } from "./buffer-budget.ts";
import { readTopic } from "./read-topic.suite.ts";
import { RecordProducer } from "./record-producer.ts";
import type { ProducerOptions } from "./record-producer.ts";

const defaults: ProducerOptions = {
  compression: "none",
  batchBytes: 200,
  requestBytes: 1000,
  lingerMs: 1,
  deliveryTimeoutMs: 60_000,
  requestTimeoutMs: 1000,
};

interface Setup {
  readonly kafka: MemoryKafka;
  readonly producer: RecordProducer;
  readonly budget: BufferBudget;
  append(partition: number, value: string): void;
  values(): Promise<readonly (readonly (string | null)[])[]>;
}

async function setup(
  options: Partial<ProducerOptions> = {},
  partitions = 3,
  transactionalId: string | null = null,
  limitBytes = 1 << 20,
): Promise<Setup> {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  await client.createTopics([{ name: "t", partitions, replicationFactor: 1, configs: {} }]);
  const budget = new BufferBudget(limitBytes);
  const producer = new RecordProducer(
    transactionalId,
    { ...defaults, ...options },
    { client, clock: systemClock, log: silentLog, random: () => 0, budget },
  );
  producer.start(await client.initProducerId(transactionalId, 60_000));
  return {
    kafka,
    producer,
    budget,
    append(partition, value) {
      const bytes = Buffer.from(value);
      producer.append(producer.queue("t", partition), 1, bytes, -1, -1, bytes, 0, bytes.length, noHeaders);
    },
    async values() {
      const seen = await readTopic(kafka.client(), "t");
      return Array.from({ length: partitions }, (_, partition) =>
        seen.filter((each) => each.partition === partition).map((each) => each.value),
      );
    },
  };
}

describe("every record once and in order", () => {
  it("whatever is refused, whichever answer is lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("fine", "fine", "cut before", "cut after", "refused 7", "refused 6", "refused 19"), { maxLength: 40 }),
        fc.array(fc.nat(2), { minLength: 1, maxLength: 150 }),
        async (faults, targets) => {
          const { kafka, producer, append, values } = await setup();
          const script = [...faults];
          let fault = "fine";
          kafka.onRequest = (request) => {
            if (request !== "produce") return;
            fault = script.shift() ?? "fine";
            if (fault === "cut before") throw new KafkaProblem("network", fault);
          };
          kafka.onAnswer = (request) => {
            if (request === "produce" && fault === "cut after") throw new KafkaProblem("network", fault);
          };
          // One partition is refused, the others of the request are stored.
          kafka.refuseBatch = (_topic, partition) => (partition === 1 && fault.startsWith("refused") ? Number(fault.slice(8)) : 0);
          const expected: string[][] = [[], [], []];
          for (const [i, partition] of targets.entries()) {
            append(partition, `${i}-${"x".repeat(i % 60)}`);
            expected[partition]?.push(`${i}-${"x".repeat(i % 60)}`);
            if (i % 7 === 0) producer.poke();
            if (i % 31 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
          await producer.flush();
          expect(await values()).toEqual(expected);
          await producer.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  it("also when a batch reached the next leader before the one in front of it had failed", async () => {
    const { kafka, producer, append, values } = await setup({}, 1);
    let first = true;
    kafka.onRequest = (request) => {
      if (request !== "produce" || !first) return;
      first = false;
      throw new KafkaProblem("network", "the old leader died");
    };
    for (let i = 0; i < 40; i++) append(0, `value ${i} ${"x".repeat(50)}`);
    await producer.flush();
    expect((await values())[0]).toEqual(Array.from({ length: 40 }, (_, i) => `value ${i} ${"x".repeat(50)}`));
    await producer.close();
  });
});

describe("when something cannot be sent", () => {
  it("a flush and whoever waits for room are told", async () => {
    const { kafka, producer, budget, append } = await setup({}, 1, null, 100);
    kafka.refuseBatch = () => 10;
    append(0, "x".repeat(150));
    append(0, "y");
    append(0, "z".repeat(150));
    const room = budget.ready();
    await expect(producer.flush()).rejects.toMatchObject({ code: "KAFKA_RECORD_TOO_LARGE", subject: "topic t, partition 0" });
    await expect(room).rejects.toMatchObject({ code: "KAFKA_RECORD_TOO_LARGE" });
    await expect(producer.flush()).rejects.toMatchObject({ code: "KAFKA_RECORD_TOO_LARGE" });
  });

  it("gives up after the delivery timeout, with the last problem", async () => {
    const { kafka, producer, append } = await setup({ deliveryTimeoutMs: 100 }, 1);
    kafka.refuseBatch = () => 19;
    append(0, "x");
    const failure = producer.flush();
    await expect(failure).rejects.toMatchObject({ code: "KAFKA_DELIVERY_TIMEOUT" });
    await expect(failure).rejects.toThrow("NOT_ENOUGH_REPLICAS");
  });

  it("a fenced producer stops and says so", async () => {
    const { kafka, producer, append, values } = await setup({}, 1, "id");
    await kafka.client().initProducerId("id", 60_000);
    append(0, "x");
    await expect(producer.flush()).rejects.toMatchObject({ code: "KAFKA_FENCED", subject: "transactional id id" });
    expect(await values()).toEqual([[]]);
  });

  it("a gap in the sequence that nothing explains is fatal: records were lost", async () => {
    const { kafka, producer, append } = await setup({}, 1);
    kafka.refuseBatch = () => 45;
    append(0, "x");
    await expect(producer.flush()).rejects.toMatchObject({ code: "KAFKA_REQUEST_FAILED" });
  });
});

it("asks for patience above its budget, and ends it when answers come", async () => {
  const { producer, budget, append } = await setup({}, 1, null, 1000);
  expect(budget.ready()).toBeUndefined();
  for (let i = 0; i < 30; i++) append(0, "x".repeat(100));
  const room = budget.ready();
  expect(room).toBeInstanceOf(Promise);
  await producer.flush();
  await room;
  expect(budget.ready()).toBeUndefined();
  expect(budget.usedBytes).toBe(0);
  await producer.close();
});

it("sends at once to a broker that waits, and lets records linger while it is busy", async () => {
  const kafka = new MemoryKafka();
  const client = kafka.client();
  await client.createTopics([{ name: "t", partitions: 1, replicationFactor: 1, configs: {} }]);
  const clock = new ManualClock(1000);
  const budget = new BufferBudget(1 << 20);
  const producer = new RecordProducer(null, { ...defaults, lingerMs: 20 }, { client, clock, log: silentLog, random: () => 0, budget });
  producer.start(await client.initProducerId(null, 60_000));
  let requests = 0;
  const gates: (() => void)[] = [];
  const produce = client.produce.bind(client);
  client.produce = async (nodeId, request) => {
    requests++;
    await new Promise<void>((resolve) => gates.push(resolve));
    return produce(nodeId, request);
  };
  const append = (text: string): void => {
    const bytes = Buffer.from(text);
    producer.append(producer.queue("t", 0), 1, bytes, -1, -1, bytes, 0, bytes.length, noHeaders);
    producer.poke();
  };
  append("first");
  expect(requests).toBe(1);
  append("second");
  clock.advance(1000);
  // A broker that has nothing of the producer takes any sequence: only what is stored shows it which one follows.
  expect(requests).toBe(1);
  gates.splice(0).forEach((open) => open());
  await expect.poll(() => requests).toBe(2);
  const begun = producer.flush();
  gates.splice(0).forEach((open) => open());
  await begun;
  // Until the connection counts as idle again.
  await nextTurn();

  append("a");
  expect(requests).toBe(3);
  append("b");
  append("c");
  expect(requests).toBe(3);
  clock.advance(19);
  expect(requests).toBe(3);
  clock.advance(1);
  expect(requests).toBe(4);
  append("d");
  gates.splice(0).forEach((open) => open());
  await expect.poll(() => requests).toBe(5);
  const flushed = producer.flush();
  gates.splice(0).forEach((open) => open());
  await flushed;
  expect((await readTopic(kafka.client(), "t")).map((each) => each.value)).toEqual(["first", "second", "a", "b", "c", "d"]);
  await producer.close();
});
