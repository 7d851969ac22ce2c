// What is decided about a MicroBatchJob, as a table: from what is known to the one step, or to what is written down.
import type { ActiveBatchRun, MicroBatchJobSpec, MicroBatchJobStatus } from "millrace/api";
import { expect, test } from "vitest";
import type { DriverReport } from "../ports/driver-client.ts";
import { manifestOf } from "./build/support.ts";
import { Built } from "../resource/built.ts";
import { decide } from "./decide.ts";
import { batchFinalizer, batchTokenName, driverName } from "./names.ts";
import type { BatchObserved, BatchPodSeen } from "./observed.ts";
import { type BatchRevision, newBatchRevision } from "./revision.ts";
import type { BatchStep } from "./step.ts";

const nowMs = Date.parse("2026-05-01T12:00:00Z");
const before = (ms: number): string => new Date(nowMs - ms).toISOString();
const spec: MicroBatchJobSpec = {
  image: "app:1",
  job: { module: "job.ts" },
  checkpoints: { storage: "s3://b" },
  trigger: { interval: "2 s" },
};

const jobOf = (its: Partial<MicroBatchJobSpec> = {}, status: MicroBatchJobStatus = {}): BatchObserved["job"] => ({
  apiVersion: "millrace.dev/v1alpha1",
  kind: "MicroBatchJob",
  metadata: {
    name: "visits",
    namespace: "shop",
    uid: "12345678-9",
    generation: 1,
    creationTimestamp: before(3_600_000),
    finalizers: [batchFinalizer],
  },
  spec: { ...spec, ...its },
  status,
});
const revision = (image: string, number: number, its: Partial<MicroBatchJobSpec> = {}): BatchRevision =>
  newBatchRevision(jobOf({ ...its, image }), number, "");
const one = revision("app:1", 1);
const two = revision("app:2", 2);
const pod = (its: Partial<BatchPodSeen> = {}): BatchPodSeen => ({
  ...{
    name: driverName("visits", 7),
    uid: "pod-7",
    run: 7,
    component: "driver",
    ready: true,
    running: true,
    deleting: false,
    ended: undefined,
  },
  ...{ ip: "10.0.0.1", restPort: 8081, restarts: 0, waiting: undefined, message: undefined },
  ...its,
});
const report = (its: Partial<DriverReport> = {}): BatchObserved["report"] => ({
  kind: "answer",
  answer: {
    ...{ run: 7, state: "running", batch: undefined, idle: false, triggerMs: 2000, runningSinceMs: nowMs - 60_000 },
    ...{ lastFailure: undefined, failureIsFinal: false, restoredFrom: undefined, savepoint: undefined },
    ...its,
  },
});
const active = (its: Partial<ActiveBatchRun> = {}): ActiveBatchRun => ({
  ...{
    run: 7,
    revision: one.name,
    restore: { sinceRun: 0 },
    phase: "stable",
    startedAt: before(120_000),
    stableAt: before(60_000),
    driver: "pod-7",
  },
  ...its,
});
const seen = (its: Partial<MicroBatchJobSpec>, status: MicroBatchJobStatus, more: Partial<BatchObserved> = {}): BatchObserved => ({
  nowMs,
  job: jobOf(its, status),
  problem: undefined,
  revisions: [one, two],
  executors: [],
  pods: [],
  others: [{ kind: "Secret", name: batchTokenName("visits"), uid: "s", run: undefined, builtFrom: undefined }],
  report: { kind: "unasked" },
  savepoint: { kind: "unasked" },
  due: { missedMs: undefined, nextMs: undefined },
  refused: undefined,
  defaultImage: undefined,
  built: new Built(),
  ...more,
});
const running = { run: 7, currentRevision: one.name, stableRevision: one.name };
const batch = { id: 41, completedAtMs: nowMs, durationMs: 500, inputRows: 10, inputRowsPerSecond: 5, backlog: 0, watermark: undefined };
const ended = (failed: boolean, message = ""): BatchPodSeen =>
  pod({ running: false, ended: { failed, reason: failed ? "Error" : "Completed", message } });
const once = { trigger: { type: "available-now" } } as const;
const onceOne = revision("app:1", 1, once);
const several = { executors: { min: 1, max: 4 } } as const;
const severalOne = revision("app:1", 1, several);

test.each<[string, BatchObserved, Partial<MicroBatchJobStatus>]>([
  [
    "nothing runs: a run is started, above every run before",
    seen({}, { run: 6 }),
    { run: 7, currentRevision: one.name, state: "Starting" },
  ],
  [
    "a pod that is seen is known by its uid",
    seen({}, { ...running, active: active({ driver: "?" }) }, { pods: [pod({ uid: "?" })], report: report({ batch }) }),
    { active: active({ driver: "?" }) },
  ],
  [
    "the first batch makes it stable",
    seen({}, { ...running, active: active({ phase: "starting" }) }, { pods: [pod()], report: report({ batch }) }),
    { stableRevision: one.name },
  ],
  [
    "nothing to read for a while makes it stable too",
    seen({}, { run: 7, active: active({ phase: "starting" }) }, { pods: [pod()], report: report({ idle: true }) }),
    { stableRevision: one.name },
  ],
  [
    "suspend ends the run with a savepoint",
    seen({ suspend: true }, { ...running, active: active() }, { pods: [pod()] }),
    { state: "Stopping" },
  ],
  ["another image is an upgrade", seen({ image: "app:2" }, { ...running, active: active() }, { pods: [pod()] }), { state: "Upgrading" }],
  [
    "a failure is counted, and waited for",
    seen({}, { ...running, failures: 2, active: active() }, { pods: [ended(true, "boom")] }),
    { failures: 3, lastFailure: "boom", retryAt: new Date(nowMs + 20_000).toISOString() },
  ],
  [
    "one too many is the end",
    seen({ restart: { maxFailures: 2 } }, { ...running, failures: 2, active: active() }, { pods: [ended(true, "boom")] }),
    { ended: { result: "Failed", revision: one.name, at: before(0) } },
  ],
  [
    "a failure that another run would have as well is the end at once, whatever the policy",
    seen(
      { restart: { policy: "always" } },
      { ...running, active: active() },
      { pods: [ended(true)], report: report({ state: "failed", lastFailure: "OPTION_INVALID: executors.max", failureIsFinal: true }) },
    ),
    {
      ...{ failures: 1, lastFailure: "OPTION_INVALID: executors.max" },
      ended: { result: "Failed", revision: one.name, at: before(0) },
    },
  ],
  [
    "a new version that fails so is rolled back after one failure",
    seen(
      { image: "app:2" },
      {
        ...running,
        active: active({ revision: two.name, phase: "starting" }),
        upgrade: { id: "u", kind: "upgrade", to: two.name, startedAt: before(60_000) },
      },
      { pods: [ended(true)], report: report({ state: "failed", lastFailure: "PARAMETER_MISSING: p", failureIsFinal: true }) },
    ),
    { pinned: { revision: one.name, insteadOf: two.name, reason: "RolledBack", message: "PARAMETER_MISSING: p" } },
  ],
  [
    "failures of long ago are forgotten",
    seen({}, { ...running, failures: 9, active: active({ stableAt: before(3_600_000) }) }, { pods: [ended(true, "boom")] }),
    { failures: 1 },
  ],
  [
    "never means not once",
    seen({ restart: { policy: "never" } }, { ...running, active: active() }, { pods: [ended(true, "boom")] }),
    { ended: { result: "Failed", revision: one.name, at: before(0) } },
  ],
  ["a pod that is gone is no failure", seen({}, { ...running, failures: 1, active: active() }), { failures: 1, retryAt: before(0) }],
  [
    "a new version that failed three times is rolled back",
    seen(
      { image: "app:2" },
      {
        ...running,
        active: active({ revision: two.name, phase: "starting" }),
        upgrade: { id: "u", kind: "upgrade", to: two.name, failures: 2, startedAt: before(60_000) },
      },
      { pods: [ended(true, "boom")] },
    ),
    { pinned: { revision: one.name, insteadOf: two.name, reason: "RolledBack", message: "boom" } },
  ],
  [
    "a run that ends by itself has succeeded",
    seen(
      once,
      { ...running, active: active({ revision: onceOne.name }) },
      { revisions: [onceOne], pods: [ended(false)], report: report({ state: "finished", batch }) },
    ),
    { ended: { result: "Succeeded", revision: onceOne.name, at: before(0) } },
  ],
  [
    "a run that is due by schedule is started",
    seen({ ...once, schedule: { cron: "0 * * * *" } }, {}, { revisions: [onceOne], due: { missedMs: nowMs, nextMs: nowMs + 3_600_000 } }),
    { lastScheduledAt: before(0), nextScheduledAt: new Date(nowMs + 3_600_000).toISOString() },
  ],
  [
    "one that is due too long is left out",
    seen(
      { ...once, schedule: { cron: "0 * * * *", startingDeadline: "1 min" } },
      {},
      { revisions: [onceOne], due: { missedMs: nowMs - 120_000, nextMs: undefined } },
    ),
    { lastScheduledAt: before(120_000) },
  ],
  [
    "one that is due while the last goes on is skipped",
    seen(
      { ...once, schedule: { cron: "0 * * * *" } },
      { ...running, active: active({ revision: onceOne.name }) },
      { revisions: [onceOne], pods: [pod()], due: { missedMs: nowMs, nextMs: undefined } },
    ),
    { lastScheduledAt: before(0) },
  ],
  [
    "or replaces it",
    seen(
      { ...once, schedule: { cron: "0 * * * *", concurrencyPolicy: "Replace" } },
      { ...running, active: active({ revision: onceOne.name }) },
      { revisions: [onceOne], pods: [pod()], due: { missedMs: nowMs, nextMs: undefined } },
    ),
    { active: { ...active({ revision: onceOne.name, phase: "stopping" }), stop: { reason: "replace", since: before(0) } } },
  ],
  [
    "more executors when batches take too long",
    seen(
      several,
      {
        ...running,
        batch: { id: 40, durationMs: 3000, completedAt: before(0), triggerMs: 2000 },
        allocation: { executors: 1, since: before(60_000) },
        active: active({ revision: severalOne.name }),
      },
      { revisions: [severalOne], pods: [pod()], report: report() },
    ),
    { allocation: { executors: 2, since: before(0) } },
  ],
  [
    "where there may be executors there is one, for nobody else sees what waits",
    seen(
      { executors: { max: 4 } },
      { ...running, active: active({ revision: severalOne.name }) },
      { revisions: [severalOne], pods: [pod()], report: report({ idle: true }) },
    ),
    { allocation: { executors: 1, since: before(0) } },
  ],
  [
    "more executors are no other version",
    seen(
      { executors: { max: 9 } },
      { ...running, active: active({ revision: severalOne.name }) },
      { revisions: [severalOne], pods: [pod()] },
    ),
    { active: active({ revision: severalOne.name }) },
  ],
  [
    "the first executor is another version: the driver was not started for any",
    seen(several, { ...running, active: active() }, { revisions: [one, severalOne], pods: [pod()] }),
    { active: { ...active({ phase: "stopping" }), stop: { reason: "upgrade", since: before(0), savepointId: "12345678-7-upgrade" } } },
  ],
])("%s", (_name, its, expected) => {
  expect(decide(its).status).toMatchObject(expected);
});

const stopping = (its: object = {}): ActiveBatchRun =>
  active({ phase: "stopping", stop: { reason: "upgrade", savepointId: "sp", since: before(1000), ...its } });

test.each<[string, BatchObserved, Partial<BatchStep>]>([
  [
    "a job without its finalizer gets it",
    { ...seen({}, {}), job: { ...jobOf(), metadata: { ...jobOf().metadata, finalizers: [] } } },
    { kind: "addFinalizer" },
  ],
  ["a version that is new is kept", seen({ image: "app:3" }, {}), { kind: "createRevision" }],
  [
    "a driver to be stopped is asked for its savepoint",
    seen(
      { image: "app:2" },
      { ...running, active: stopping() },
      { pods: [pod()], report: report(), savepoint: { kind: "answer", answer: undefined } },
    ),
    { kind: "stopWithSavepoint", run: 7, id: "sp" },
  ],
  [
    "without one it is asked to stop behind its batch",
    seen({ image: "app:2" }, { ...running, active: stopping({ savepointId: undefined }) }, { pods: [pod()], report: report() }),
    { kind: "stop", mode: "after-batch" },
  ],
  [
    "or at once",
    seen(
      { image: "app:2", stopMode: "immediate" },
      { ...running, active: stopping({ savepointId: undefined }) },
      { pods: [pod()], report: report() },
    ),
    { kind: "stop", mode: "immediate" },
  ],
  [
    "one that does not run is ended from outside",
    seen(
      { image: "app:2" },
      { ...running, active: stopping({ savepointId: undefined }) },
      { pods: [pod({ running: false, waiting: "ImagePullBackOff" })] },
    ),
    { kind: "delete" },
  ],
  [
    "one that has been silent too long too",
    seen(
      { image: "app:2" },
      { ...running, active: { ...stopping({ savepointId: undefined }), silentSince: before(31_000) } },
      { pods: [pod()], report: { kind: "unreachable", reason: "" } },
    ),
    { kind: "delete" },
  ],
  [
    "a time to live that is over ends the job",
    seen(
      { ...once, timeToLiveSeconds: 60 },
      { ended: { result: "Succeeded", revision: onceOne.name, at: before(61_000) } },
      { revisions: [onceOne] },
    ),
    { kind: "deleteSelf" },
  ],
  [
    "one that is not over does not",
    seen(
      { ...once, timeToLiveSeconds: 60 },
      { ended: { result: "Succeeded", revision: onceOne.name, at: before(59_000) } },
      { revisions: [onceOne] },
    ),
    { kind: "wait" },
  ],
  ["a manifest that is not valid starts nothing", seen({}, {}, { problem: "spec.x: is wrong" }), { kind: "wait" }],
  ["a run waits for the driver before it", seen({}, { run: 7 }, { pods: [pod({ deleting: true })] }), { kind: "wait" }],
])("%s: one step", (_name, its, expected) => {
  expect(decide({ ...its, job: { ...its.job, status: { ...its.job.status, ...statusFigures(its) } } }).step).toMatchObject(expected);
});

// A step is taken only when nothing is to be written: with the figures that would be.
const statusFigures = (its: BatchObserved): MicroBatchJobStatus => {
  const { status } = decide(its);
  return status;
};

test("the manifest of a run tells its driver whether to listen for executors, and not how many", () => {
  const how = (executors: MicroBatchJobSpec["executors"]): unknown => {
    const its = executors === undefined ? {} : { executors };
    const plan = { job: jobOf(its), run: 7, revision: revision("app:1", 1, its), restore: { sinceRun: 0 }, executors: undefined };
    return manifestOf({ ...plan, slots: 1, decommissionMs: 1, stopGraceMs: 1 }).spec.executors;
  };
  expect(how(undefined)).toBeUndefined();
  expect(how({ min: 2, max: 8, slots: 2 })).toEqual({ max: 1, slots: 2 });
  expect(how({ min: 0, max: 0, slots: 2 })).toEqual({ slots: 2 });
});
