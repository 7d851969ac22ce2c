// The operator on a real cluster with real Kafka input: install, apply, upgrade with a change of state, bad versions; the output is exact.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SavepointStatus } from "../../runtime/src/api/index.ts";
import { kubectl } from "../support/cluster.ts";
import { helm } from "./support/scripts.ts";
import { createNamespace, jobConfigMap, operatorNamespace, release, visitImages } from "./support/operator.ts";
import { type PodServers, podServers } from "./support/servers.ts";
import { TestJob } from "./support/stream-job.ts";
import { untilExact, underLoad, Visits } from "./support/visits.ts";

const id = randomBytes(3).toString("hex");
const seed = randomBytes(4).readUInt32LE();
const namespace = `visits-${id}`;
const bad = ["visits-crash", "visits-stuck"] as const;
let servers: PodServers;
let visits: Visits;
let job: TestJob;

beforeAll(async () => {
  servers = await podServers();
  await createNamespace(namespace);
  for (const name of bad) await jobConfigMap(name, namespace);
  visits = new Visits(servers, namespace, 500, seed);
  await visits.createTopics();
  job = new TestJob(namespace, "visits", servers, visits.topics);
});

afterAll(async () => {
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
  visits?.stop();
  await servers?.kafka.close();
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const exact = (): Promise<void> => untilExact(visits, seed);

test("helm install brings the operator up, and its canary becomes Ready", async () => {
  await kubectl(["rollout", "status", `deployment/${release}-operator`, "-n", operatorNamespace, "--timeout=3m"]);
  expect(await helm("test", release, "-n", operatorNamespace, "--timeout", "5m")).toMatch(/Phase:\s+Succeeded/);
});

test("a job becomes Ready, and its output is exact", async () => {
  await visits.produce(20_000);
  await job.apply({ image: visitImages.v1 });
  await kubectl(["wait", "--for=condition=Ready", `streamjob/${job.name}`, "-n", namespace, "--timeout=5m"]);
  await exact();
});

test("a new image with a changed state schema is brought out with a savepoint, under load", async () => {
  const before = await job.stable();
  await underLoad(visits, async () => {
    await job.apply({ image: visitImages.v2 });
    await job.until("runs another revision", ({ currentRevision }) => currentRevision !== before.currentRevision);
    await job.stable();
  });
  const { status } = await job.get();
  expect(status?.lastUpgrade).toMatchObject({ kind: "upgrade", result: "Succeeded" });
  expect(status?.currentRevision).not.toBe(before.currentRevision);
  expect(status?.lastUpgrade?.savepoint).toMatch(/^s3:\/\//);
  await exact();
  const versions = new Set(visits.output().map(({ version }) => version));
  expect([...versions].sort()).toEqual([1, 2]);
  const revisions = await kubectl(["get", "controllerrevisions", "-n", namespace, "-o", "name"]);
  const { sizeBytes, formatVersion, completedAt } = status?.lastUpgrade?.savepointFacts ?? {};
  expect(sizeBytes).toBeGreaterThan(1000);
  expect(formatVersion).toBeGreaterThanOrEqual(1);
  expect(completedAt).toBeDefined();
  say(
    `upgrade: gap ${status?.lastUpgrade?.gapMs} ms, savepoint ${sizeBytes} bytes, revisions ${revisions.trim().split("\n").length}, records ${visits.produced}`,
  );
});

test("a savepoint by a user says what it is, and its files go with its resource", async () => {
  const here = ["-n", namespace];
  const manifest = {
    apiVersion: "millrace.dev/v1alpha1",
    kind: "Savepoint",
    metadata: { name: "mine", namespace },
    spec: { job: job.name, disposal: "Delete" },
  };
  await kubectl(["apply", "-f", "-"], JSON.stringify(manifest));
  await kubectl(["wait", "--for=condition=Ready", "savepoint/mine", ...here, "--timeout=2m"]);
  const { status } = JSON.parse(await kubectl(["get", "savepoint", "mine", ...here, "-o", "json"])) as { readonly status: SavepointStatus };
  expect(status).toMatchObject({ phase: "Completed", trigger: "user" });
  expect(status.sizeBytes).toBeGreaterThan(1000);
  expect(status.formatVersion).toBeGreaterThanOrEqual(1);
  expect(Date.parse(status.completedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(status.startedAt ?? ""));
  const manifestOf = `${status.location?.replace(`s3://${servers.s3.bucket}/`, "")}/manifest.json`;
  expect(await servers.stored(manifestOf)).toBe(true);
  // By a pod that the operator makes, with the operator's own role.
  await kubectl(["delete", "savepoint", "mine", ...here, "--timeout=3m"]);
  expect(await servers.stored(manifestOf)).toBe(false);
  await exact();
});

describe("a bad version is rolled back by itself, and the output stays exact", () => {
  test.each([
    ["crashes at its start", "visits-crash"],
    ["never completes a checkpoint", "visits-stuck"],
  ] as const)("one that %s", async (_, configMap) => {
    const before = await job.stable();
    await underLoad(visits, async () => {
      await job.apply({ configMap }, { rollback: { stableTimeout: "1 min" }, upgrade: { prepareTimeout: "1 min" } });
      // One that crashes is given up before the old version was even stopped.
      await job.until("is given up", ({ pinned, upgrade }) => pinned !== undefined && upgrade === undefined);
    });
    const { status } = await job.get();
    expect(status?.currentRevision).toBe(before.currentRevision);
    expect(status?.conditions?.find(({ type }) => type === "Degraded")?.status).toBe("True");
    await exact();
    await job.apply({ image: visitImages.v2 });
    await job.stable();
  });
});
