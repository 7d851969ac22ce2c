// Queries of the stores of two processes, asked at either: by key, by window, by range and prefix, and of everything.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { batchOf, produceTo } from "../../../connectors/kafka/client/kafka-client.suite.ts";
import { MemoryKafka } from "../../../connectors/kafka/client/memory-kafka.ts";
import { kafkaSink } from "../../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import { job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { avg, count, sum } from "../../../operators/aggregate/call.ts";
import { json } from "../../../serde/index.ts";
import { EmbeddedApp } from "../app.ts";
import { QueryClient } from "./query-client.ts";
import type { StoreQuery } from "./store-query.ts";

const bootstrapServers = "127.0.0.1:1";
const Reading = schema({ sensor: string(), room: int53(), value: int53(), at: timestamp() });
const partitions = 4;
const limit = { timeout: 60_000, interval: 20 };
const kafka = new MemoryKafka();
const apps: EmbeddedApp[] = [];
const readings = Array.from({ length: 240 }, (_, index) => ({
  sensor: `s${String(index % 24).padStart(2, "0")}`,
  room: (index % 24) * 10,
  value: index,
  at: 10_000 + index * 10,
}));

const watched = job("watch", (flow) => {
  const source = flow.source("in", kafkaSource({ bootstrapServers, topic: "in", format: json(Reading) }), {
    time: "at",
    watermarks: boundedOutOfOrderness("1 h"),
  });
  const sink = (): ReturnType<typeof kafkaSink> => kafkaSink({ bootstrapServers, topic: "out", format: json() });
  const upserts = (key: string): ReturnType<typeof kafkaSink> =>
    kafkaSink({ bootstrapServers, topic: "out", format: json(), key, mode: "upsert" as const } as never);
  source
    .keyBy("sensor")
    .aggregate({ n: count(), mean: avg("value") }, { uid: "per-sensor", upsert: true })
    .to("a", upserts("sensor"));
  source
    .keyBy("sensor")
    .window(tumbling("1 s"))
    .aggregate({ total: sum("value") }, { uid: "per-second" })
    .to("b", sink());
  source.keyBy("room").aggregate({ n: count() }, { uid: "per-room", upsert: true }).to("c", upserts("room"));
});

beforeAll(async () => {
  const client = kafka.client();
  await client.createTopics(["in", "out"].map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
  for (let process = 0; process < 2; process++) {
    const app = new EmbeddedApp(
      watched,
      { sessionTimeoutMs: 10_000, commitIntervalMs: 20, standbys: 1, http: { port: 0, token: "secret" } },
      { openClient: () => kafka.client() },
    );
    apps.push(app);
    await app.start();
  }
  for (let partition = 0; partition < partitions; partition++) {
    const own = readings.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
    expect(await produceTo(client, "in", partition, batchOf(own))).toBe(0);
  }
});
afterAll(async () => {
  for (const app of apps) await app.close(1000);
});

const urls = (): readonly string[] => apps.map((app) => app.url as string);
const client = (...of: readonly string[]): QueryClient => new QueryClient({ urls: of, token: "secret" });
async function sumOf(store: string, field: string): Promise<number> {
  const rows = await client(...urls())
    .store<unknown, Readonly<Record<string, number>>>(store)
    .all();
  return rows.reduce((all, { value }) => all + (value[field] ?? 0), 0);
}
/** What an independent count gives for a sensor. */
const valuesOf = (sensor: string): readonly number[] => readings.filter((each) => each.sensor === sensor).map((each) => each.value);
const sensors = [...new Set(readings.map((each) => each.sensor))];

test("both processes have tasks, and together everything that was sent", async () => {
  // The tasks are in both processes, and everything is counted.
  await expect
    .poll(() => apps.map((app) => app.view().tasks.filter((task) => task.state === "running").length > 0), limit)
    .toEqual([true, true]);
  // Each store is filled by tasks of its own, at its own pace.
  await expect.poll(async () => sumOf("per-sensor", "n"), limit).toBe(readings.length);
  await expect.poll(async () => sumOf("per-room", "n"), limit).toBe(readings.length);
  const values = readings.reduce((all, { value }) => all + value, 0);
  await expect.poll(async () => sumOf("per-second", "total"), limit).toBe(values);
});

describe.each([0, 1])("at process %i", (process) => {
  const at = (): QueryClient => client(urls()[process] as string);

  test("each key gives its results, wherever its task is", async () => {
    const store = at().store<{ sensor: string }, { n: number; mean: number }>("per-sensor");
    for (const sensor of sensors) {
      const values = valuesOf(sensor);
      const wanted = { n: values.length, mean: values.reduce((a, b) => a + b) / values.length };
      expect(await store.get({ sensor })).toEqual(wanted);
      expect(await store.get(sensor)).toEqual(wanted);
    }
    expect(await store.get("nobody")).toBeUndefined();
  });

  test("windows of a key, all of them and some", async () => {
    const store = at().store<{ sensor: string }, { total: number }>("per-second");
    const expected = (from: number, to: number): Readonly<Record<string, number>> => {
      const totals: Record<string, number> = {};
      for (const { sensor, value, at: atMs } of readings) {
        const window = Math.floor(atMs / 1000) * 1000;
        if (sensor === "s05" && window >= from && window < to) totals[window] = (totals[window] ?? 0) + value;
      }
      return totals;
    };
    const seen = async (...bounds: readonly number[]) =>
      Object.fromEntries((await store.windows("s05", ...bounds)).map(({ window, value }) => [window, value.total]));
    expect(await seen()).toEqual(expected(-Infinity, Infinity));
    expect(await seen(11_000, 12_000)).toEqual(expected(11_000, 12_000));
    expect(await store.get("s05", 12_000)).toEqual({ total: expected(12_000, 13_000)[12_000] });
  });

  test("ranges of numbers, prefixes of texts, and everything, over all tasks", async () => {
    const rooms = at().store<{ room: number }, { n: number }>("per-room");
    const roomsOf = async (from?: number, to?: number): Promise<readonly number[]> =>
      (await rooms.range(from, to)).map(({ key }) => key.room).toSorted((a, b) => a - b);
    expect(await roomsOf(50, 90)).toEqual([50, 60, 70, 80]);
    expect(await roomsOf(210)).toEqual([210, 220, 230]);
    expect((await roomsOf()).length).toBe(24);
    const store = at().store<{ sensor: string }, unknown>("per-sensor");
    expect((await store.prefix("s1")).map(({ key }) => key.sensor).toSorted()).toEqual(sensors.filter((each) => each.startsWith("s1")));
    expect((await store.all()).map(({ key }) => key.sensor).toSorted()).toEqual(sensors);
    const some = await at().query("per-sensor", { kind: "all", limit: 5 });
    expect([some.rows.length, some.complete]).toEqual([5, false]);
  });

  test("positions of an answer can be asked for again, and what is not reached is told", async () => {
    const { positions } = await at().query("per-sensor", { kind: "get", key: "s05" });
    const [split] = Object.keys(positions);
    expect(split).toMatch(/^watch-per-sensor-repartition-\d$/);
    expect((await at().query("per-sensor", { kind: "get", key: "s05" }, positions)).rows.length).toBe(1);
    const ahead = new QueryClient({ urls: [urls()[process] as string], token: "secret", timeoutMs: 3000 });
    await expect(ahead.query("per-sensor", { kind: "get", key: "s05" }, { [split as string]: 1_000_000 })).rejects.toMatchObject({
      code: "QUERY_BEHIND",
    });
  });

  test("copies of standbys give by key what the owners give", async () => {
    const stale = new QueryClient({ urls: [urls()[process] as string], token: "secret", stale: true });
    const app = apps[process] as EmbeddedApp;
    const byCopy = new Set<string>();
    const rowsOf = async (uid: string, query: StoreQuery): Promise<readonly unknown[]> => {
      const { rows, lags = {} } = await stale.query(uid, query);
      if (Object.keys(lags).length > 0) byCopy.add(uid);
      return rows;
    };
    const compare = async (uid: string, query: StoreQuery): Promise<void> => {
      const { rows } = await at().query(uid, query);
      // A copy may be a moment behind.
      await expect.poll(() => rowsOf(uid, query), limit).toEqual(rows);
    };
    for (const sensor of sensors) {
      await compare("per-sensor", { kind: "get", key: sensor });
      await compare("per-second", { kind: "windows", key: sensor });
      await compare("per-second", { kind: "windows", key: sensor, from: 11_000, to: 12_000 });
      await compare("per-second", { kind: "get", key: sensor, window: 11_000 });
    }
    for (const room of [0, 10, 50, 230, 7]) await compare("per-room", { kind: "get", key: room });
    expect([...byCopy].toSorted()).toEqual(["per-room", "per-second", "per-sensor"]);
    await expect(stale.query("per-sensor", { kind: "all" })).rejects.toMatchObject({ code: "QUERY_INVALID" });
    await expect(stale.query("per-sensor", { kind: "get", key: "s05", table: "x" })).rejects.toMatchObject({ code: "STORE_UNKNOWN" });
    expect(app.state).toBe("running");
  });

  test("what there is not is named", async () => {
    await expect(at().query("nothing", { kind: "all" })).rejects.toMatchObject({ code: "STORE_UNKNOWN" });
    await expect(at().query("per-sensor", { kind: "all", table: "x" })).rejects.toMatchObject({ code: "STORE_UNKNOWN" });
    await expect(at().query("per-room", { kind: "get", key: "text" })).rejects.toMatchObject({ code: "QUERY_INVALID" });
    const answer = await fetch(`${urls()[process]}/v1/stores`, { headers: { authorization: "Bearer secret" } });
    expect(await answer.json()).toMatchObject({
      stores: expect.arrayContaining([
        { uid: "per-sensor", table: "groups", form: "table", key: ["sensor"], value: ["n", "mean"] },
      ]) as unknown,
    });
  });
});

test("a client goes on at another process when one does not answer", async () => {
  const store = client("http://127.0.0.1:9", ...urls()).store<string, { n: number }>("per-sensor");
  expect((await store.get("s05"))?.n).toBe(valuesOf("s05").length);
});
