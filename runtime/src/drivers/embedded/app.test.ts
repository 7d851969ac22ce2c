// What an application does when something is not as it must be: each one clear error, nothing lost, and it goes on after the mend.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { batchOf, fetchFrom, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { MemoryKafka } from "../../connectors/kafka/client/memory-kafka.ts";
import { blackhole } from "../../connectors/console/index.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { values } from "../../connectors/memory/index.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { Flow } from "../../dsl/flow.ts";
import { type Job, job } from "../../dsl/job.ts";
import { count } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";
import { planReset, resetApp } from "./reset.ts";
import { splitDataflow } from "./topology/sub-topologies.ts";

const bootstrapServers = "127.0.0.1:1";
const Reading = schema({ sensor: string(), value: int53() });
const limit = { timeout: 60_000, interval: 20 };
let kafka: MemoryKafka;
let client: KafkaClient;
const apps: EmbeddedApp[] = [];

beforeEach(async () => {
  kafka = new MemoryKafka();
  client = kafka.client();
  await topic("in", 2);
  await topic("out", 2);
});
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close(1000);
});

const topic = (name: string, partitions: number, configs: Readonly<Record<string, string>> = {}): Promise<void> =>
  client.createTopics([{ name, partitions, replicationFactor: 1, configs }]);
const source = (flow: Flow, uid = "in", name = "in") =>
  flow.source(uid, kafkaSource({ bootstrapServers, topic: name, format: json(Reading) }));
const sink = () => kafkaSink({ bootstrapServers, topic: "out", format: json(), key: "sensor", mode: "upsert" as const });
/** Counts readings per sensor. */
const counting = (uid = "count"): Job =>
  job("app", (flow) => {
    source(flow).keyBy("sensor").aggregate({ n: count() }, { uid, upsert: true }).to("out", sink());
  });

function make(of: Job, config: EmbeddedConfig = {}): EmbeddedApp {
  const app = new EmbeddedApp(of, { sessionTimeoutMs: 1000, commitIntervalMs: 20, ...config }, { openClient: () => kafka.client() });
  apps.push(app);
  return app;
}
async function start(of: Job, config: EmbeddedConfig = {}): Promise<EmbeddedApp> {
  const app = make(of, config);
  await app.start();
  return app;
}
async function send(...sensors: readonly string[]): Promise<void> {
  for (const [index, sensor] of sensors.entries()) {
    expect(await produceTo(client, "in", index % 2, batchOf([JSON.stringify({ sensor, value: index })]))).toBe(0);
  }
}
async function outputs(): Promise<readonly { readonly sensor: string; readonly n: number }[]> {
  const all: string[] = [];
  for (const partition of [0, 1]) all.push(...(await fetchFrom(client, "out", { partition }, "read_committed")).values);
  return all.map((value) => JSON.parse(value) as { sensor: string; n: number });
}
/** The last count of each sensor. */
const counts = async (): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries((await outputs()).map(({ sensor, n }) => [sensor, n]));

describe("a job that cannot run so", () => {
  test.each<[code: string, describeFlow: (flow: Flow) => void]>([
    ["EMBEDDED_SINK", (flow) => source(flow).to("out", blackhole())],
    ["EMBEDDED_SOURCE", (flow) => flow.source("in", values(Reading, [])).to("out", sink())],
    [
      "EMBEDDED_SOURCE",
      (flow) => flow.source("in", kafkaSource({ bootstrapServers, topic: "in", bounded: true, format: json(Reading) })).to("out", sink()),
    ],
    ["EMBEDDED_TOPIC_TWICE", (flow) => source(flow).union(source(flow, "again")).to("out", sink())],
    [
      "EMBEDDED_CLUSTER",
      (flow) =>
        source(flow)
          .union(flow.source("far", kafkaSource({ bootstrapServers: "elsewhere:9092", topic: "far", format: json(Reading) })))
          .to("out", sink()),
    ],
  ])("is refused with %s when it is made", (code, describeFlow) => {
    expect(() => make(job("app", describeFlow))).toThrow(expect.objectContaining({ code }));
  });
});

describe("topics that are not as they must be", () => {
  test("a missing input is named", async () => {
    const app = make(job("app", (flow) => source(flow, "in", "nowhere").to("out", sink())));
    await expect(app.start()).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING", subject: "topic nowhere" });
    expect(app.state).toBe("closed");
  });

  test("a repartition topic of another width is named with both numbers, and left alone", async () => {
    await topic("app-count-repartition", 3);
    await expect(make(counting()).start()).rejects.toMatchObject({
      code: "EMBEDDED_TOPIC_PARTITIONS",
      subject: "repartition topic app-count-repartition",
      message: expect.stringContaining("has 3 partitions where the application has 2 tasks"),
    });
  });

  test("a changelog that would lose state is refused", async () => {
    await topic("app-count-changelog", 2, { "cleanup.policy": "delete" });
    await expect(make(counting()).start()).rejects.toMatchObject({
      code: "EMBEDDED_TOPIC_CONFIG",
      message: expect.stringContaining("cleanup.policy=delete"),
    });
  });

  test("topics that it makes itself can keep what has to be kept", async () => {
    await start(counting());
    expect((await client.topicConfigs("app-count-changelog")).get("cleanup.policy")).toBe("compact");
    expect((await client.topicConfigs("app-count-repartition")).get("retention.ms")).toBe("-1");
  });
});

describe("another dataflow under the same id", () => {
  test("is refused while the first one runs, and the first one goes on", async () => {
    const first = await start(counting());
    await send("a", "b", "a");
    await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
    const second = await start(counting("count-again"));
    await expect(second.done).rejects.toMatchObject({ code: "EMBEDDED_TOPOLOGY" });
    await send("a");
    await expect.poll(counts, limit).toEqual({ a: 3, b: 1 });
    expect(first.state).toBe("running");
  });

  test("with state that cannot be read any more stops with the operator's name, and the old one can go on", async () => {
    const first = await start(counting());
    await send("a", "a");
    await expect.poll(counts, limit).toEqual({ a: 2 });
    await first.close();
    const other = job("app", (flow) => {
      const keyed = source(flow).keyBy("value").aggregate({ n: count() }, { uid: "count", upsert: true });
      keyed.to("out", kafkaSink({ bootstrapServers, topic: "out", format: json(), key: "value", mode: "upsert" }));
    });
    const second = await start(other);
    await expect(second.done).rejects.toMatchObject({ code: expect.stringMatching(/^STATE_/), message: expect.stringContaining("count") });
    await start(counting());
    await send("a");
    await expect.poll(counts, limit).toEqual({ a: 3 });
  });
});

describe("a task that fails", () => {
  let broken = true;
  beforeEach(() => {
    broken = true;
  });
  /** Fails at sensor `bad` until it is mended. */
  const failing = (): Job =>
    job("app", (flow) => {
      source(flow)
        .map(Reading, (row) => {
          if (row.sensor === "bad" && broken) throw new Error("cannot be");
          return { sensor: row.sensor, value: row.value };
        })
        .keyBy("sensor")
        .aggregate({ n: count() }, { uid: "count", upsert: true })
        .to("out", sink());
    });

  test("runs again from its last commit, and loses and doubles nothing", async () => {
    let failures = 0;
    const onFailure = () => {
      failures++;
      return "replace" as const;
    };
    const app = await start(failing(), { onBadRecord: "fail", onFailure });
    await send("a", "a", "bad", "a", "a");
    await expect.poll(() => failures, limit).toBeGreaterThan(2);
    broken = false;
    await expect.poll(counts, limit).toEqual({ a: 4, bad: 1 });
    await expect.poll(() => app.state, limit).toBe("running");
    for (const sensor of ["a", "bad"]) {
      const ns = (await outputs()).filter((each) => each.sensor === sensor).map((each) => each.n);
      expect(ns).toEqual([...new Set(ns)].toSorted((a, b) => a - b));
    }
  });

  test("stops this process by default, with the reason, and another one goes on after the mend", async () => {
    const app = await start(failing(), { onBadRecord: "fail" });
    const states: string[] = [];
    app.onState((state) => states.push(state));
    await send("a", "bad");
    await expect(app.done).rejects.toMatchObject({ code: "FUNCTION_FAILED" });
    await expect.poll(() => app.state, limit).toBe("closed");
    expect(states.slice(-2)).toEqual(["error", "closed"]);
    broken = false;
    await start(failing());
    await expect.poll(counts, limit).toEqual({ a: 1, bad: 1 });
  });

  test("stops the application everywhere when that is asked for", async () => {
    const onFailure = () => "shutdown-application" as const;
    const [first, second] = [
      await start(failing(), { onBadRecord: "fail", onFailure }),
      await start(failing(), { onBadRecord: "fail", onFailure }),
    ];
    await send("bad", "bad");
    for (const app of [first, second]) {
      await expect(app.done).rejects.toMatchObject({ code: "EMBEDDED_SHUTDOWN", message: expect.stringContaining("cannot be") });
    }
  });

  test("leaves the bad record out where that is allowed", async () => {
    await start(failing());
    await send("a", "bad", "a");
    await expect.poll(counts, limit).toEqual({ a: 2 });
  });

  test("because another owner has taken it over begins again where that one left it", async () => {
    broken = false;
    const app = await start(failing());
    await send("a", "a");
    await expect.poll(counts, limit).toEqual({ a: 2 });
    for (const id of kafka.transactions.keys()) await client.initProducerId(id, 60_000);
    await send("a", "b", "a", "b");
    await expect.poll(counts, limit).toEqual({ a: 4, b: 2 });
    expect(app.state).not.toBe("error");
    const ns = (await outputs()).filter((each) => each.sensor === "a").map((each) => each.n);
    expect(ns).toEqual([...new Set(ns)].toSorted((x, y) => x - y));
  });
});

test("at least once, nothing is lost over a restart, and no transaction is used", async () => {
  const first = await start(counting(), { delivery: "at-least-once", commitIntervalMs: 50 });
  await send("a", "b", "a");
  await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
  await first.close();
  await start(counting(), { delivery: "at-least-once", commitIntervalMs: 50 });
  await send("a", "b");
  await expect.poll(counts, limit).toEqual({ a: 3, b: 2 });
  expect(kafka.transactions.size).toBe(0);
});

describe("a reset", () => {
  const topology = () => splitDataflow(counting().build(), "app");

  test("is refused while a process runs, and deletes nothing then", async () => {
    await start(counting(), { instanceId: "pod-0" });
    await expect(resetApp(topology(), client)).rejects.toMatchObject({
      code: "KAFKA_GROUP_IN_USE",
      message: expect.stringContaining("pod-0"),
    });
    expect(kafka.topics.has("app-count-changelog")).toBe(true);
  });

  test("makes the application count again from the beginning of its input", async () => {
    const app = await start(counting());
    await send("a", "b", "a");
    await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
    await app.close();
    expect(await planReset(topology(), client)).toEqual({
      groupId: "app",
      topics: ["app-count-repartition", "app-count-changelog", "app-control"],
      offsets: 4,
    });
    await resetApp(topology(), client);
    expect([...kafka.topics.keys()].toSorted()).toEqual(["in", "out"]);
    expect(await planReset(topology(), client)).toMatchObject({ topics: [], offsets: 0 });
    const before = (await outputs()).length;
    await start(counting());
    await expect.poll(async () => (await outputs()).length, limit).toBeGreaterThan(before);
    // Not 4 and 2: nothing of what was counted before is left.
    await expect.poll(counts, limit).toEqual({ a: 2, b: 1 });
  });
});

test("a restore keeps to its limit, and tasks without it go on meanwhile", async () => {
  const first = await start(counting());
  await send(...Array.from({ length: 300 }, (_, index) => `sensor-${index}`));
  await expect.poll(async () => Object.keys(await counts()).length, limit).toBe(300);
  await first.close();
  const startedMs = Date.now();
  const second = await start(counting(), { restoreBytesPerSecond: 2000 });
  // The sources have nothing to restore.
  const stateOf = (id: string) => second.health().tasks.find((task) => task.id === id)?.state;
  await expect.poll(() => [stateOf("0_0"), stateOf("0_1")], limit).toEqual(["running", "running"]);
  expect(second.state).toBe("restoring");
  await expect.poll(() => second.state, limit).toBe("running");
  const bytes = second.health().tasks.reduce((sum, task) => sum + task.restore.bytes, 0);
  // The last step of each task may go over, and a tenth of a second is for free.
  expect(bytes).toBeGreaterThan(12_000);
  expect(Date.now() - startedMs).toBeGreaterThan(2000);
});

test("a standby takes over without reading the changelog again", async () => {
  const first = await start(counting(), { standbys: 1 });
  await send(...Array.from({ length: 40 }, (_, index) => `s${index}`));
  const all = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`s${index}`, 1]));
  await expect.poll(counts, limit).toEqual(all);
  const second = await start(counting(), { standbys: 1 });
  await expect.poll(() => [first.state, second.state], limit).toEqual(["running", "running"]);
  await send("s0", "s1", "s2", "s3");
  await expect.poll(counts, limit).toEqual({ ...all, s0: 2, s1: 2, s2: 2, s3: 2 });
  const before = new Set(second.health().tasks.map((task) => task.id));
  await first.close();
  await expect.poll(() => second.health().tasks.filter((task) => task.state === "running").length, limit).toBe(4);
  const taken = second.health().tasks.filter((task) => !before.has(task.id) && task.id.startsWith("1_"));
  expect(taken.length).toBeGreaterThan(0);
  for (const task of taken) expect([task.id, task.restore.records < 10]).toEqual([task.id, true]);
  await send("s0");
  await expect.poll(counts, limit).toEqual({ ...all, s0: 3, s1: 2, s2: 2, s3: 2 });
});

test("a standby answers by key when it may: with what its copy holds, and how far that is behind", async () => {
  const http = { port: 0 };
  const both = [await start(counting(), { standbys: 1, http }), await start(counting(), { standbys: 1, http })];
  const sensors = Array.from({ length: 20 }, (_, index) => `s${index}`);
  await send(...sensors, "s3");
  const wanted = sensors.map((sensor) => (sensor === "s3" ? 2 : 1));
  const ask = (app: EmbeddedApp, sensor: string) => app.queries.query({ uid: "count", query: { kind: "get", key: sensor }, stale: true });
  const seen = async (app: EmbeddedApp): Promise<readonly unknown[]> => {
    const answers = await Promise.all(sensors.map((sensor) => ask(app, sensor).catch(() => undefined)));
    return answers.map((answer) => (answer?.rows[0]?.value as { n: number } | undefined)?.n);
  };
  for (const app of both) await expect.poll(() => seen(app), limit).toEqual(wanted);
  const has = (app: EmbeddedApp): readonly string[] => app.health().tasks.flatMap(({ id }) => (id.startsWith("1_") ? [id] : []));
  // Each has a copy of what the other runs, and is asked by nobody.
  await expect
    .poll(
      () =>
        both.map(
          (app, index) => [has(app).length, Object.keys(app.view().standbys)].join() === `1,${has(both[1 - index] as EmbeddedApp).join()}`,
        ),
      limit,
    )
    .toEqual([true, true]);
  for (const app of both) await expect.poll(() => app.state, limit).toBe("running");
  for (const app of both) {
    const own = app.health().tasks.map((task) => task.id);
    const lags = await Promise.all(sensors.map(async (sensor) => Object.entries((await ask(app, sensor)).lags ?? {})));
    const copied = lags.flat();
    expect(copied.length).toBeGreaterThan(0);
    expect(copied.length).toBeLessThan(sensors.length);
    for (const [id, lag] of copied) expect([own.includes(id), lag]).toEqual([false, 0]);
  }
  const [first] = both as [EmbeddedApp];
  expect((await ask(first, "nobody")).rows).toEqual([]);
  await expect(first.queries.query({ uid: "count", query: { kind: "all" }, stale: true })).rejects.toMatchObject({ code: "QUERY_INVALID" });
  await expect(
    first.queries.query({ uid: "count", query: { kind: "get", key: "s1" }, stale: true, after: { x: 1 } }),
  ).rejects.toMatchObject({ code: "QUERY_INVALID" });
});

test("states come in order, and a closed application says so", async () => {
  const app = make(counting());
  const states: string[] = [];
  app.onState((state, before) => states.push(`${before}>${state}`));
  expect(app.health()).toEqual({ state: "created", ready: false, tasks: [] });
  await app.start();
  await expect.poll(() => app.state, limit).toBe("running");
  await expect(app.start()).rejects.toMatchObject({ code: "EMBEDDED_STARTED" });
  expect(app.health().tasks.map((task) => task.state)).toEqual(["running", "running", "running", "running"]);
  await app.close();
  await app.done;
  expect(states).toEqual(["created>rebalancing", "rebalancing>restoring", "restoring>running", "running>closed"]);
});
