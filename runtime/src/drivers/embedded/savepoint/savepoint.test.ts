// Savepoints of an application: taken while records come, over processes, and begun from again; every row counts once, whatever is killed.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { batchOf, fetchFrom, produceTo } from "../../../connectors/kafka/client/kafka-client.suite.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import { KafkaProblem } from "../../../connectors/kafka/client/kafka-problem.ts";
import { MemoryKafka } from "../../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import { type Job, job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { count, sum } from "../../../operators/aggregate/call.ts";
import { json } from "../../../serde/index.ts";
import { EmbeddedApp } from "../app.ts";
import type { EmbeddedConfig } from "../config.ts";

const bootstrapServers = "127.0.0.1:1";
const Reading = schema({ sensor: string(), value: int53(), at: timestamp() });
const partitions = 3;
const limit = { timeout: 60_000, interval: 20 };
let kafka: MemoryKafka;
let client: KafkaClient;
let folder: string;
let sent: { sensor: string; value: number; at: number }[] = [];
const apps: EmbeddedApp[] = [];

beforeEach(async () => {
  kafka = new MemoryKafka();
  client = kafka.client();
  sent = [];
  folder = await mkdtemp(join(tmpdir(), "embedded-savepoint-"));
  await client.createTopics(["in", "out"].map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
});
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close(1000);
  await rm(folder, { recursive: true, force: true });
});

/** Windows per sensor, and windows over their results: two repartition topics, timers, and rows that wait for event time. */
const summing: Job = job("app", (flow) => {
  flow
    .source("in", kafkaSource({ bootstrapServers, topic: "in", format: json(Reading) }), {
      time: "at",
      watermarks: boundedOutOfOrderness("200 ms"),
    })
    .keyBy("sensor")
    .window(tumbling("1 s"))
    .aggregate({ n: count(), total: sum("value") }, { uid: "per-sensor" })
    .keyBy("n")
    .window(tumbling("2 s"))
    .aggregate({ sensors: count(), all: sum("total") }, { uid: "per-count" })
    .to("out", kafkaSink({ bootstrapServers, topic: "out", format: json() }));
});

async function start(config: EmbeddedConfig = {}): Promise<EmbeddedApp> {
  const app = new EmbeddedApp(
    summing,
    { sessionTimeoutMs: 1000, commitIntervalMs: 20, savepointStorage: pathToFileURL(folder).href, ...config },
    { openClient: () => kafka.client() },
  );
  apps.push(app);
  await app.start();
  return app;
}

/** Readings of every sensor over `seconds` of event time, spread over the partitions. */
async function send(fromSecond: number, seconds: number): Promise<void> {
  const rows = Array.from({ length: seconds * 40 }, (_, index) => ({
    sensor: `s${(index * 7) % 13}`,
    value: index,
    at: fromSecond * 1000 + Math.floor((index * 1000) / 40) - ((index * 37) % 150),
  }));
  sent.push(...rows);
  for (let partition = 0; partition < partitions; partition++) {
    const own = rows.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
    expect(await produceTo(client, "in", partition, batchOf(own))).toBe(0);
  }
}

/** What the job gives for everything that was sent, for windows that end before the second `until`. */
function expected(until: number): readonly string[] {
  const first = new Map<string, { n: number; total: number; start: number }>();
  for (const { sensor, value, at } of sent) {
    const begin = Math.floor(at / 1000);
    const key = `${sensor} ${begin}`;
    const known = first.get(key) ?? { n: 0, total: 0, start: begin };
    first.set(key, { n: known.n + 1, total: known.total + value, start: begin });
  }
  const second = new Map<string, { sensors: number; all: number }>();
  for (const { n, total, start: begin } of first.values()) {
    const key = `${n} ${Math.floor(begin / 2) * 2000}`;
    const known = second.get(key) ?? { sensors: 0, all: 0 };
    second.set(key, { sensors: known.sensors + 1, all: known.all + total });
  }
  return [...second]
    .filter(([key]) => Number(key.split(" ")[1]) + 2000 <= until * 1000)
    .map(([key, { sensors, all }]) => `${key} ${sensors} ${all}`)
    .toSorted();
}

async function outputs(): Promise<readonly string[]> {
  const rows: string[] = [];
  for (let partition = 0; partition < partitions; partition++)
    rows.push(...(await fetchFrom(client, "out", { partition }, "read_committed")).values);
  return rows
    .map((text) => JSON.parse(text) as { n: number; windowStart: number; sensors: number; all: number })
    .map(({ n, windowStart, sensors, all }) => `${n} ${windowStart} ${sensors} ${all}`)
    .toSorted();
}
/** Closes every window that ends before second 1,000. */
async function end(): Promise<void> {
  for (let partition = 0; partition < partitions; partition++)
    await produceTo(client, "in", partition, batchOf([JSON.stringify({ sensor: "end", value: 0, at: 1_000_000 })]));
}
const running = (app: EmbeddedApp) => expect.poll(() => app.state, limit).toBe("running");

describe("a savepoint over two processes", () => {
  test("with stop ends both, and the application begun from it gives what one run would have given", async () => {
    const both = [await start(), await start()];
    await Promise.all(both.map(running));
    await send(100, 6);
    await expect.poll(async () => (await outputs()).length, limit).toBeGreaterThan(0);
    const savepoint = await (both[0] as EmbeddedApp).savepoint("upgrade", "stop");
    await Promise.all(both.map((app) => app.done));
    expect(both.map((app) => app.state)).toEqual(["closed", "closed"]);
    await send(106, 6);

    // Nobody of it answers any more: which savepoint it was is in what a process leaves behind.
    const terminationLog = join(folder, "termination-log");
    await expect(start({ terminationLog })).rejects.toMatchObject({
      code: "EMBEDDED_STOPPED",
      message: expect.stringContaining(savepoint.url),
    });
    expect(JSON.parse(await readFile(terminationLog, "utf8"))).toEqual({ stopped: { id: "upgrade", location: savepoint.url } });
    const again = [await start({ fromSavepoint: savepoint.url }), await start({ fromSavepoint: savepoint.url })];
    await Promise.all(again.map(running));
    await send(112, 3);
    await end();
    await expect.poll(outputs, limit).toEqual(expected(1000));
    // A later start with the same savepoint goes on from where the application is.
    for (const app of again) await app.close();
    const third = await start({ fromSavepoint: savepoint.url });
    await running(third);
    expect(await outputs()).toEqual(expected(1000));
  });

  test("with keep goes on, and an application of another name begun from it gives the rest", async () => {
    const both = [await start(), await start()];
    await Promise.all(both.map(running));
    await send(100, 4);
    const [savepoint] = await Promise.all([(both[1] as EmbeddedApp).savepoint("copy"), send(104, 4)]);
    expect(await (both[0] as EmbeddedApp).savepoint("copy")).toEqual(savepoint);
    await send(108, 2);
    await end();
    await expect.poll(outputs, limit).toEqual(expected(1000));
    for (const app of both) await app.close();
    const before = await outputs();
    // Its output comes on top: what came behind the cut a second time, nothing else.
    const fork = await start({ fromSavepoint: savepoint.url, applicationId: "fork" });
    await running(fork);
    const onTop = async (): Promise<readonly string[]> => {
      const rows = [...(await outputs())];
      for (const row of before) rows.splice(rows.indexOf(row), 1);
      return rows;
    };
    const startOf = (row: string): number => Number(row.split(" ")[1]);
    const certain = before.filter((row) => startOf(row) >= 108_000);
    await expect.poll(async () => (await onTop()).filter((row) => startOf(row) >= 108_000), limit).toEqual(certain);
    const again = await onTop();
    expect(again.filter((row) => !before.includes(row))).toEqual([]);
    expect(new Set(again).size).toBe(again.length);
  });
});

test("a restore that is killed again and again begins again, and nothing counts twice", async () => {
  const first = await start();
  await running(first);
  await send(100, 6);
  await expect.poll(async () => (await outputs()).length, limit).toBeGreaterThan(0);
  const { url } = await first.savepoint("s", "stop");
  await first.done;
  await send(106, 3);
  for (let kills = 1; kills <= 12; kills++) {
    let calls = 0;
    // Everything fails from some request on, as for a process that is killed there.
    kafka.onRequest = (request) => {
      if (/produce|endTransaction|commitOffsets|initProducerId/.test(request) && ++calls > kills * 2)
        throw new KafkaProblem("fatal", `killed at ${request}`);
    };
    const victim = new EmbeddedApp(
      summing,
      {
        sessionTimeoutMs: 300,
        commitIntervalMs: 20,
        savepointStorage: pathToFileURL(folder).href,
        fromSavepoint: url,
        applicationId: "later",
      },
      { openClient: () => kafka.client() },
    );
    await victim
      .start()
      .then(() => victim.done)
      .catch(() => undefined);
    await victim.close(0);
    kafka.onRequest = () => undefined;
    await expect.poll(async () => (await client.describeGroup("later")).members.length, limit).toBe(0);
  }
  const last = await start({ fromSavepoint: url, applicationId: "later" });
  await running(last);
  await end();
  await expect.poll(outputs, limit).toEqual(expected(1000));
});

test("going back to a savepoint undoes what came after it, state that is new since included", async () => {
  const first = await start();
  await running(first);
  await send(100, 4);
  const { url } = await first.savepoint("s");
  await send(104, 4);
  await expect.poll(async () => (await outputs()).length, limit).toBeGreaterThan(0);
  await first.close();
  const behind = await outputs();
  const back = await start({ fromSavepoint: url, restoreId: "back" });
  await running(back);
  expect(back.view().generation).toBe(1);
  await end();
  // Every window that closes now has each of its rows once, also those that both runs have read.
  await expect.poll(async () => new Set(await outputs()), limit).toEqual(new Set([...behind, ...expected(1000)]));
  await back.close();
  const again = await start({ fromSavepoint: url, restoreId: "back" });
  await running(again);
  expect(again.view().generation).toBe(1);
  expect(new Set(await outputs())).toEqual(new Set([...behind, ...expected(1000)]));
});

test("a process that is to begin from a savepoint does not do so beside others", async () => {
  const first = await start();
  await running(first);
  await send(100, 2);
  const { url } = await first.savepoint("s");
  await expect(start({ fromSavepoint: url })).rejects.toMatchObject({ code: "EMBEDDED_RUNNING" });
  expect(first.state).toBe("running");
});

test("without storage there is none", async () => {
  const app = new EmbeddedApp(summing, { sessionTimeoutMs: 1000 }, { openClient: () => kafka.client() });
  apps.push(app);
  await app.start();
  await expect(app.savepoint("s")).rejects.toMatchObject({ code: "SAVEPOINT_NO_STORAGE" });
});
