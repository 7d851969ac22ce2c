// The operator on a real cluster with apps and micro-batch jobs on a real Kafka: scaled by their load, brought out, given up, by the clock; the output is exact.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../support/cluster.ts";
import { TestApp } from "./support/app.ts";
import { TestBatchJob } from "./support/batch-job.ts";
import { eventually } from "./support/eventually.ts";
import { createNamespace, jobConfigMap } from "./support/operator.ts";
import { PodWatch } from "./support/pod-watch.ts";
import { type PodServers, podServers } from "./support/servers.ts";
import { untilExact, underLoad, Visits } from "./support/visits.ts";

const id = randomBytes(3).toString("hex");
const seed = randomBytes(4).readUInt32LE();
const ends: (() => Promise<unknown>)[] = [];
let servers: PodServers;

beforeAll(async () => {
  servers = await podServers();
});

afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
  await servers?.kafka.close();
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** A namespace of a test's own, with its visits and the module of its job. */
async function visitsIn(name: string, module: string): Promise<Visits> {
  const namespace = `${name}-${id}`;
  const visits = new Visits(servers, namespace, 500, seed);
  ends.push(() => {
    visits.stop();
    return kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
  });
  await createNamespace(namespace);
  await jobConfigMap(module, namespace);
  await visits.createTopics();
  return visits;
}

interface PodObject {
  readonly status: { readonly phase: string };
}

const podsIn = async (namespace: string): Promise<readonly PodObject[]> =>
  (JSON.parse(await kubectl(["get", "pods", "-n", namespace, "-o", "json"])) as { readonly items: readonly PodObject[] }).items;

test.concurrent("an app is scaled to its topic's partitions and back, its versions follow each other pod by pod and over a savepoint, a bad one goes", async () => {
  const visits = await visitsIn("app", "visits-app");
  const app = new TestApp(`app-${id}`, servers, visits.topics);
  const scaling = { minReplicas: 2, maxReplicas: 9, lagPerReplica: 500, cooldown: "1 s" };
  const watch = new PodWatch(app.namespace);
  ends.push(async () => watch.stop());
  const savepointStorage = `s3://${servers.s3.bucket}/${app.namespace}`;
  const update = { caughtUpLag: 500, savepointStorage };
  // Slow, so that most of it waits. Its two parts have four tasks each, a pod has threads for two: four pods get work.
  await visits.produce(40_000);
  await app.apply({ version: "1", pauseMs: 200 }, { scaling, update, threads: 2 });
  const wide = await app.settled(4);
  expect(wide).toMatchObject({ partitions: 4, tasks: 8, usefulReplicas: 4 });
  // Enough for nine, and no pod more than four for it.
  expect(wide.lag).toBeGreaterThan(9 * scaling.lagPerReplica);

  await app.apply({ version: "2", pauseMs: 0 }, { scaling, update, threads: 2 });
  const rolled = await app.until("has another version", ({ lastUpgrade }) => lastUpgrade?.result === "Succeeded");
  expect(rolled.currentRevision).not.toBe(wide.currentRevision);
  // From the last down, each when the one before was ready.
  const readyAgain = (ordinal: number): number =>
    watch.first(({ pod, revision, ready }) => pod === `visits-app-${ordinal}` && revision === rolled.currentRevision && ready);
  await eventually("the last pod's turn was seen", async () => (readyAgain(0) < 0 ? undefined : true));
  const turns = [3, 2, 1, 0].flatMap((ordinal) => [
    watch.first(({ pod, revision, leaving }) => pod === `visits-app-${ordinal}` && revision === wide.currentRevision && leaving),
    readyAgain(ordinal),
  ]);
  expect(turns).toEqual(turns.toSorted((a, b) => a - b));
  expect(turns[0]).toBeGreaterThan(0);
  await untilExact(visits, seed);

  const narrow = { ...scaling, scaleDownAfter: "2 s" };
  await app.apply({ version: "2", pauseMs: 0 }, { scaling: narrow, update, threads: 2 });
  await app.settled(2);
  const ever = new Set(watch.changes.map(({ pod }) => pod));
  expect([...ever].toSorted()).toEqual([0, 1, 2, 3].map((ordinal) => `visits-app-${ordinal}`));

  await underLoad(visits, async () => {
    await app.apply({ version: "3", pauseMs: 0 }, { scaling: narrow, update: { ...update, mode: "savepoint" }, threads: 2 });
    await app.until(
      "has gone over a savepoint",
      ({ lastUpgrade }) => lastUpgrade?.result === "Succeeded" && lastUpgrade.savepoint !== undefined,
    );
  });
  const moved = await app.settled(2);
  expect(moved.restoredFrom).toBe(moved.lastUpgrade?.savepoint);
  expect(await servers.stored(`${moved.restoredFrom?.replace(`s3://${servers.s3.bucket}/`, "")}/manifest.json`)).toBe(true);
  await untilExact(visits, seed);

  await underLoad(visits, async () => {
    await app.apply({ version: "broken", pauseMs: 0 }, { scaling: narrow, update: { ...update, caughtUpTimeout: "20 s" }, threads: 2 });
    await app.until("is given up", ({ pinned, upgrade }) => pinned !== undefined && upgrade === undefined);
  });
  const back = await app.settled(2);
  expect(back).toMatchObject({ currentRevision: moved.currentRevision, lastUpgrade: { kind: "rollback", result: "Succeeded" } });
  expect(back.pinned).toMatchObject({ reason: "RolledBack", revision: moved.currentRevision });
  expect(back.conditions?.find(({ type }) => type === "Degraded")?.message).toMatch(/not caught up in time|crashed/);
  await untilExact(visits, seed);
  expect([...new Set(visits.output().map(({ version }) => version))].toSorted()).toEqual([1, 2, 3]);
  say(`app: ${visits.produced} records, ${wide.lag} of them waited for four pods`);
});

test.concurrent("a micro-batch job gets executors for its backlog, its next version starts between two batches, and it goes on after a pause", async () => {
  const visits = await visitsIn("batches", "visits-batches");
  const job = new TestBatchJob(`batches-${id}`, servers, visits.topics);
  const resources = { cpu: "50m", memory: "768Mi" };
  const spec = {
    trigger: { interval: "1 s" },
    input: { maxRecordsPerBatch: 400, backpressure: false },
    parallelism: 2,
    executors: { min: 1, max: 2, idleTimeout: "2 s", resources },
  } as const;
  await visits.produce(60_000);
  await job.apply("1", spec);
  const one = await job.until("works", ({ active }) => active?.phase === "stable");
  const more = await job.until("has two executors", ({ allocation, readyReplicas }) => allocation?.executors === 2 && readyReplicas === 2);
  expect(more.batch?.backlog).toBeGreaterThan(400);

  const whole = { ...spec, input: { maxRecordsPerBatch: 10_000 } };
  await underLoad(visits, async () => {
    await job.apply("2", whole);
    await job.until("has another version", ({ lastUpgrade }) => lastUpgrade?.result === "Succeeded");
  });
  const two = await job.until("works", ({ active }) => active?.phase === "stable");
  expect(two.run).toBeGreaterThan(one.run ?? Infinity);
  expect(two.lastUpgrade).toMatchObject({ kind: "upgrade", result: "Succeeded" });
  expect(two.active?.restore.location).toBe(two.lastUpgrade?.savepoint);
  expect(two.lastUpgrade?.savepoint).toMatch(/^s3:\/\//);
  await untilExact(visits, seed);
  await job.until("has one executor for little", ({ allocation, readyReplicas }) => allocation?.executors === 1 && readyReplicas === 1);

  await job.apply("2", { ...whole, suspend: true });
  await job.until("is suspended", ({ state }) => state === "Suspended");
  const running = ({ status }: PodObject): boolean => status.phase === "Running";
  await eventually("no pod runs", async () => ((await podsIn(job.namespace)).some(running) ? undefined : true));
  await visits.produce(2_000);
  await job.apply("2", whole);
  await untilExact(visits, seed);
  expect([...new Set(visits.output().map(({ version }) => version))].toSorted()).toEqual([1, 2]);
});

test.concurrent("a job by the clock takes what is there at each of its times, nothing twice and nothing left", async () => {
  const visits = await visitsIn("clock", "visits-batches");
  const job = new TestBatchJob(`clock-${id}`, servers, visits.topics);
  await visits.produce(5_000);
  await job.apply("1", { trigger: { type: "available-now" }, input: { maxRecordsPerBatch: 1_000 }, schedule: { cron: "* * * * *" } });
  await job.until("has run once", ({ history }) => (history ?? []).some(({ result }) => result === "Succeeded"));
  await untilExact(visits, seed);
  await visits.produce(5_000);
  await job.until("has run twice", ({ history }) => (history ?? []).filter(({ result }) => result === "Succeeded").length >= 2);
  await untilExact(visits, seed);
  const { history = [] } = (await job.get()).status ?? {};
  const runs = history.toReversed();
  expect(runs.map(({ run }) => run)).toEqual(runs.map((_, at) => (runs[0]?.run ?? 0) + at));
  for (const [at, { startedAt }] of runs.slice(1).entries())
    expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(runs[at]?.endedAt ?? ""));
});
