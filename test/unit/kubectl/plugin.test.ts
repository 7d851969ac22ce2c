// The plugin as a process over a kubectl that stands in: what it asks, what it changes, what it prints, how it fails.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const entry = `import(${JSON.stringify(new URL("../../../runtime/src/kubectl/main.ts", import.meta.url).href)}).then(({ main }) => main(["node", "kubectl-millrace", ...process.argv.slice(1)]))`;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

const job = {
  metadata: { name: "clicks", namespace: "shop", generation: 2, creationTimestamp: ago(7_200_000) },
  spec: { job: { module: "clicks.ts" } },
  status: {
    observedGeneration: 2,
    state: "Running",
    conditions: [{ type: "Ready", status: "True", reason: "Running", message: "all is well", lastTransitionTime: ago(1000) }],
    run: 7,
    parallelism: 4,
    replicas: 2,
    readyReplicas: 2,
    currentRevision: "clicks-bbb",
    stableRevision: "clicks-bbb",
    lastUpgrade: { id: "u1", kind: "upgrade", result: "Succeeded", gapMs: 640, startedAt: ago(60_000), endedAt: ago(50_000) },
    job: { state: "running", restarts: 1 },
  },
};
const revision = (name: string, number: number, image: string): object => ({
  metadata: { name, namespace: "shop", creationTimestamp: ago(number * 60_000) },
  revision: number,
  data: { spec: { image } },
});
const savepoint = (name: string, phase: string): object => ({
  metadata: { name, namespace: "shop", creationTimestamp: ago(30_000) },
  spec: { job: "clicks" },
  status: {
    phase,
    trigger: "user",
    sizeBytes: 3 * 1024 * 1024,
    location: `s3://snapshots/${name}`,
    error: phase === "Failed" ? "the bucket is full" : undefined,
  },
});
const operators = (rows: number): object => ({
  regions: [
    {
      vertices: [
        { uid: "clicks", parallelism: 2 },
        { uid: "per-user", parallelism: 4 },
      ],
    },
  ],
  processing: {
    operators: [
      {
        uid: "clicks",
        kind: "source",
        inputs: [],
        subtasks: [
          { rowsIn: 0, rowsOut: rows, watermarkMs: null },
          { rowsIn: 0, rowsOut: rows, watermarkMs: null },
        ],
      },
      {
        uid: "per-user",
        kind: "process",
        inputs: ["clicks"],
        subtasks: [{ rowsIn: 2 * rows, rowsOut: 0, watermarkMs: 1_700_000_000_000 }],
      },
    ],
    lag: { clicks: 77 },
  },
});
const token = "letmein";
const normal = {
  "get streamjobs.millrace.dev clicks": job,
  "get controllerrevisions.apps": { items: [revision("clicks-aaa", 1, "shop/clicks:1"), revision("clicks-bbb", 2, "shop/clicks:2")] },
  "get savepoints.millrace.dev -o": { items: [savepoint("sp-1", "Completed")] },
  "get savepoints.millrace.dev mine": savepoint("mine", "Completed"),
  "get pods": "pod/clicks-7-jm-a\npod/clicks-7-jm-b\n",
  "get secret clicks-token": Buffer.from(token).toString("base64"),
  // The first JobManager does not lead.
  [`Bearer ${token} pod/clicks-7-jm-b /v1/job`]: [operators(0), operators(0), operators(1_000_000)],
  [`Bearer ${token} pod/clicks-7-jm-b /v1/checkpoints`]: {
    checkpoints: [{ id: 41, phase: "completed", durationMs: 85, writtenBytes: 4096, totalBytes: 8192, failures: [] }],
  },
  "patch streamjobs.millrace.dev clicks": "patched",
  "create -f -": "created",
  logs: "clicks-7-jm-0 started\n",
};

let folder = "";
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "millrace-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly calls: readonly { readonly line: string; readonly input: string }[];
}

let runs = 0;
function plugin(args: readonly string[], answers: object = normal): Promise<Outcome> {
  const [calls, file] = [join(folder, `calls-${++runs}`), join(folder, `answers-${runs}.json`)];
  writeFileSync(calls, "");
  writeFileSync(file, JSON.stringify(answers));
  const env = { ...process.env, KUBECTL: here("stand-in.mjs"), STAND_IN_CALLS: calls, STAND_IN_ANSWERS: file };
  return new Promise((resolve) => {
    execFile(process.execPath, ["--eval", entry, ...args], { env }, (error, out, err) => {
      const lines = readFileSync(calls, "utf8").trim().split("\n").filter(Boolean);
      resolve({
        code: error === null ? 0 : Number(error.code),
        out,
        err,
        calls: lines.map((line) => JSON.parse(line) as Outcome["calls"][number]),
      });
    });
  });
}

test("status of a MicroBatchJob shows its last batch, its runs and its revisions", async () => {
  const batches = {
    metadata: job.metadata,
    status: {
      state: "Running",
      run: 9,
      readyReplicas: 2,
      replicas: 3,
      currentRevision: "clicks-bbb",
      stableRevision: "clicks-bbb",
      batch: { id: 41, durationMs: 850, triggerMs: 1000, inputRows: 12_000, inputRowsPerSecond: 11_800, backlog: 77 },
      history: [{ run: 8, startedAt: ago(70_000), endedAt: ago(10_000), result: "Failed", lastBatch: 40, message: "out of memory" }],
    },
  };
  const answers = {
    "get microbatchjobs.millrace.dev clicks": batches,
    "get controllerrevisions.apps -l millrace.dev/microbatchjob=clicks": normal["get controllerrevisions.apps"],
  };
  const { code, out, err } = await plugin(["status", "mbj/clicks"], answers);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const part of [
    "MicroBatchJob shop/clicks: Running",
    /batch +41 +took +850 ms of 1(\.0+)? s/,
    /backlog +77/,
    "2 of 3 ready",
    /8 +Failed +.*40 +out of memory/,
    /2 +clicks-bbb +shop\/clicks:2 .*current, stable/,
  ])
    expect(out).toMatch(part);
});

test("status of an EmbeddedStreamApp shows its pods, its tasks and its lag", async () => {
  const app = {
    metadata: job.metadata,
    status: {
      ...{
        state: "Upgrading",
        readyReplicas: 2,
        wantedReplicas: 3,
        usefulReplicas: 4,
        tasks: 4,
        restoringTasks: 1,
        partitions: 4,
        lag: 12_345,
      },
      upgrade: {
        id: "u",
        kind: "upgrade",
        phase: "rolling",
        from: "a",
        to: "clicks-bbb",
        partition: 2,
        phaseStartedAt: ago(3_000),
        startedAt: ago(9_000),
      },
    },
  };
  const answers = {
    "get embeddedstreamapps.millrace.dev clicks": app,
    "get controllerrevisions.apps -l millrace.dev/embeddedstreamapp=clicks": normal["get controllerrevisions.apps"],
  };
  const { code, out, err } = await plugin(["status", "esa/clicks"], answers);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const part of [
    "EmbeddedStreamApp shop/clicks: Upgrading",
    /pods +2 of 3 caught up +of use +4/,
    /tasks +4 +restoring +1/,
    /lag +12345/,
    /In progress: upgrade to clicks-bbb, rolling down to pod 2/,
  ])
    expect(out).toMatch(part);
});

test("status is one screen: state, dataflow, checkpoints, revisions, savepoints", async () => {
  const { code, out, err } = await plugin(["status", "clicks"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out.split("\n").length).toBeLessThan(40);
  for (const part of [
    "StreamJob shop/clicks: Running",
    "2 of 2 ready",
    "clicks-bbb, stable",
    "Last upgrade: Succeeded, nothing was processed for 640 ms",
    /clicks +source +2 +0 +[1-9]\d{4,} +77/,
    /per-user +process +4 +[1-9]\d{4,} +0 +- +2023-11-14T22:13:20\.000Z/,
    /41 +completed +85 ms +4\.0 KiB +8\.0 KiB/,
    /2 +clicks-bbb +shop\/clicks:2 .*current, stable/,
    /sp-1 +Completed +user +3\.0 MiB .*s3:\/\/snapshots\/sp-1/,
  ])
    expect(out).toMatch(part);
});

test("status shows what the resource says when the job does not answer", async () => {
  const { "get secret clicks-token": _, ...silent } = normal;
  const { code, out } = await plugin(["status", "clicks"], silent);
  expect(code).toBe(0);
  expect(out).toContain("StreamJob shop/clicks: Running");
  expect(out).not.toContain("Dataflow");
});

test("flags of a context go to kubectl", async () => {
  const { calls } = await plugin(["-n", "shop", "--context", "prod", "graph", "clicks"]);
  for (const { line } of calls) expect(line).toContain("--namespace shop --context prod");
});

test("graph is text or Mermaid", async () => {
  expect((await plugin(["graph", "clicks"])).out).toBe("clicks (source, 2)\nper-user (process, 4)  <-  clicks\n");
  expect((await plugin(["graph", "clicks", "--mermaid"])).out).toBe(
    'flowchart LR\n  n0["clicks<br/>source, 2"]\n  n1["per-user<br/>process, 4"]\n  n0 --> n1\n',
  );
});

describe("changes", () => {
  test("savepoint makes the resource and waits for it", async () => {
    const { code, out, calls } = await plugin(["savepoint", "clicks", "--name", "mine"]);
    expect(code).toBe(0);
    expect(out).toBe("savepoint mine: s3://snapshots/mine\n");
    const made = calls.find(({ line }) => line.startsWith("create"));
    expect(JSON.parse(made?.input ?? "{}")).toMatchObject({
      kind: "Savepoint",
      metadata: { name: "mine", namespace: "shop" },
      spec: { job: "clicks" },
    });
  });

  test("a savepoint that fails says why", async () => {
    const { code, err } = await plugin(["savepoint", "clicks", "--name", "mine"], {
      ...normal,
      "get savepoints.millrace.dev mine": savepoint("mine", "Failed"),
    });
    expect(code).toBe(1);
    expect(err).toContain("savepoint mine: it will not be complete: Failed, the bucket is full");
  });

  test.each([
    [[], "clicks-aaa"],
    [["--to", "1"], "clicks-aaa"],
    [["--to", "clicks-aaa"], "clicks-aaa"],
  ])("rollback %j asks for the revision by name", async (flags, revisionName) => {
    const { code, calls } = await plugin(["rollback", "clicks", "--no-wait", ...flags]);
    expect(code).toBe(0);
    expect(calls.at(-1)?.line).toContain(`{"metadata":{"annotations":{"millrace.dev/rollback-to":"${revisionName}"}}}`);
  });

  test("rollback to what is not there names what is", async () => {
    const { code, err, calls } = await plugin(["rollback", "clicks", "--to", "9"]);
    expect(code).toBe(1);
    expect(err).toContain("there is no revision 9; there are: 2 (clicks-bbb), 1 (clicks-aaa)");
    expect(calls.some(({ line }) => line.startsWith("patch"))).toBe(false);
  });

  test.each([
    ["suspend", true],
    ["resume", false],
  ])("%s sets spec.suspend", async (command, suspend) => {
    const { code, calls } = await plugin([command, "clicks", "--no-wait"]);
    expect(code).toBe(0);
    expect(calls.at(-1)?.line).toContain(`{"spec":{"suspend":${suspend}}}`);
  });
});

test("wait ends with 0 at the goal, and with 1 and the reason at the timeout", async () => {
  expect(await plugin(["wait", "clicks"])).toMatchObject({ code: 0, out: "clicks is ready\n" });
  const late = await plugin(["wait", "clicks", "--for", "suspended", "--timeout", "0 s"]);
  expect(late.code).toBe(1);
  expect(late.err).toContain("clicks: it is not suspended yet: Running, Running: all is well");
  expect((await plugin(["wait", "clicks", "--for", "lunch"])).err).toContain("give one of ready, stable, suspended, finished");
});

describe("clear errors", () => {
  test.each([
    ["a job that is not there", {}, "see what is there with kubectl get millrace --all-namespaces"],
    [
      "a cluster without the operator",
      { "get streamjobs": { error: `error: the server doesn't have a resource type "streamjobs"` } },
      "install the operator's chart",
    ],
    ["no permission", { "get streamjobs": { error: "Error from server (Forbidden): you may not" } }, "ask for the role edit"],
  ])("%s", async (_, answers, next) => {
    const { code, err } = await plugin(["status", "clicks"], answers);
    expect(code).toBe(1);
    expect(err).toContain(next);
    expect(err).not.toContain("    at ");
  });
});
