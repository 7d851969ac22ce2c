// The decision about a Savepoint, state by state.
import type { SavepointStatus } from "millrace/api";
import { describe, expect, test } from "vitest";
import type { SavepointReport } from "../ports/job-client.ts";
import { typeOf } from "../ports/kind-table.ts";
import type { Savepoint, StreamJob } from "../ports/objects.ts";
import { takenAnnotation } from "../streamjob/savepoint-record.ts";
import { triggerAnnotation } from "../streamjob/savepoint-schedule.ts";
import { decideSavepoint, savepointFinalizer, type SavepointSeen } from "./decide-savepoint.ts";

const nowMs = Date.UTC(2026, 5, 1);
const at = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();
const job: StreamJob = {
  ...typeOf("StreamJob"),
  metadata: { name: "clicks", namespace: "jobs", uid: "u" },
  spec: { image: "app:1", job: { module: "job.ts" }, checkpoints: { storage: "s3://a/b", s3: { region: "eu" } } },
  status: {
    active: { run: 7, revision: "clicks-1", restore: { sinceRun: 0 }, standby: false, parallelism: 1, phase: "stable", startedAt: at(9e6) },
  },
};
const savepointOf = (
  spec: Partial<Savepoint["spec"]>,
  status?: SavepointStatus,
  metadata: Partial<Savepoint["metadata"]> = {},
): Savepoint => ({
  ...typeOf("Savepoint"),
  metadata: { name: "before", namespace: "jobs", uid: "s1", generation: 2, ...metadata },
  spec: { job: "clicks", ...spec },
  ...(status === undefined ? {} : { status }),
});
const seen = (savepoint: Savepoint, more: Partial<SavepointSeen> = {}): SavepointSeen => ({
  nowMs,
  savepoint,
  job,
  address: undefined,
  running: true,
  taken: undefined,
  disposal: undefined,
  disposalMessage: undefined,
  referenced: false,
  terminating: false,
  ...more,
});
const report = (more: Partial<SavepointReport>): SavepointSeen["taken"] => ({
  known: true,
  report: {
    id: "sp-s1",
    mode: "keep",
    phase: "running",
    location: undefined,
    sizeBytes: undefined,
    formatVersion: undefined,
    cutAtMs: undefined,
    completedAtMs: undefined,
    failure: undefined,
    ...more,
  },
});
const asked: SavepointStatus = { phase: "Pending", attempt: 1, savepointId: "sp-s1", startedAt: at(1_000), trigger: "user" };

describe("taking one", () => {
  test("its id is in the status before the job hears it", () => {
    const { status, step } = decideSavepoint(seen(savepointOf({})));
    expect(status).toMatchObject({ phase: "Pending", savepointId: "sp-s1", attempt: 1, trigger: "user", startedAt: at(0) });
    expect(step).toEqual({ kind: "wait" });
  });

  test.each([
    ["schedule", "schedule"],
    ["nonce", "nonce"],
    ["anything else", "user"],
  ])("the annotation %s makes the trigger %s", (annotation, trigger) => {
    const { status } = decideSavepoint(seen(savepointOf({}, undefined, { annotations: { [triggerAnnotation]: annotation } })));
    expect(status.trigger).toBe(trigger);
  });

  test("it is asked for once the job is known not to know it, and only of a job that runs", () => {
    const unknown = { known: true, report: undefined } as const;
    expect(decideSavepoint(seen(savepointOf({}, asked), { taken: unknown })).step).toEqual({ kind: "startSavepoint", id: "sp-s1" });
    expect(decideSavepoint(seen(savepointOf({}, asked), { taken: unknown, running: false })).step.kind).toBe("wait");
    expect(decideSavepoint(seen(savepointOf({}, asked), { taken: { known: false, reason: "x" } })).step.kind).toBe("wait");
  });

  test("while it is being taken, the run and the revision are said", () => {
    const { status, againAfterMs } = decideSavepoint(seen(savepointOf({}, asked), { taken: report({}) }));
    expect(status).toMatchObject({ phase: "InProgress", run: 7, revision: "clicks-1" });
    expect(againAfterMs).toBeGreaterThan(0);
  });

  test("a completed one has place, size, format and time, and what its disposal will need", () => {
    const done = report({ phase: "completed", location: "s3://a/b/sp", sizeBytes: 12, formatVersion: 2, completedAtMs: nowMs - 5 });
    const { status, event } = decideSavepoint(seen(savepointOf({}, { ...asked, error: "an earlier one" }), { taken: done }));
    expect(status).toMatchObject({
      phase: "Completed",
      location: "s3://a/b/sp",
      sizeBytes: 12,
      formatVersion: 2,
      completedAt: at(5),
      run: 7,
      access: { image: "app:1", s3: JSON.stringify({ region: "eu" }) },
      observedGeneration: 2,
    });
    expect(status.error).toBeUndefined();
    expect(status.conditions?.[0]).toMatchObject({ type: "Ready", status: "True", reason: "Completed" });
    expect(event).toMatchObject({ type: "Normal", reason: "SavepointCompleted" });
  });

  test("a failed one is tried again under another id, until the limit", () => {
    const failed = report({ phase: "failed", failure: "no room" });
    const again = decideSavepoint(seen(savepointOf({ backoffLimit: 2 }, asked), { taken: failed })).status;
    expect(again).toMatchObject({ phase: "Pending", attempt: 2, savepointId: "sp-s1-2", error: "no room" });
    const over = decideSavepoint(seen(savepointOf({ backoffLimit: 2 }, again), { taken: failed }));
    expect(over.status).toMatchObject({ phase: "Failed", error: "no room" });
    expect(over.event).toMatchObject({ type: "Warning", reason: "SavepointFailed" });
  });

  test("it fails when its time is over, and when there is no job", () => {
    const late = { ...asked, startedAt: at(61_000) };
    expect(decideSavepoint(seen(savepointOf({ timeout: "1 min" }, late))).status).toMatchObject({ phase: "Failed" });
    expect(decideSavepoint(seen(savepointOf({ timeout: "2 min" }, late))).status.phase).toBe("Pending");
    expect(decideSavepoint(seen(savepointOf({}, asked), { job: undefined })).status.error).toContain("no StreamJob clicks");
  });

  test("what is over stays as it is", () => {
    for (const phase of ["Completed", "Failed"] as const)
      expect(decideSavepoint(seen(savepointOf({}, { ...asked, phase }), { taken: report({ phase: "failed" }) })).status.phase).toBe(phase);
  });
});

test("one that exists already is recorded with what its operation wrote on it", () => {
  const facts = { trigger: "upgrade", sizeBytes: 5, formatVersion: 2, completedAt: at(10) };
  const annotations = { [takenAnnotation]: JSON.stringify(facts) };
  const recorded = decideSavepoint(seen(savepointOf({ location: "s3://a/b/x" }, undefined, { annotations }))).status;
  expect(recorded).toMatchObject({ ...facts, phase: "Completed", location: "s3://a/b/x" });
  const broken = { [takenAnnotation]: "{" };
  expect(decideSavepoint(seen(savepointOf({ location: "s3://a/b/x" }, undefined, { annotations: broken }))).status).toMatchObject({
    phase: "Completed",
    trigger: "user",
    completedAt: at(0),
  });
});

describe("deleting one", () => {
  const guarded = { finalizers: [savepointFinalizer] };
  const going = { ...guarded, deletionTimestamp: at(1_000) };
  const done: SavepointStatus = { phase: "Completed", location: "s3://a/b/x", access: { image: "app:1" } };
  const stepOf = (savepoint: Savepoint, more: Partial<SavepointSeen> = {}): string => decideSavepoint(seen(savepoint, more)).step.kind;

  test("the finalizer is there exactly while the files are to be deleted with it", () => {
    expect(stepOf(savepointOf({ disposal: "Delete" }, done))).toBe("addFinalizer");
    expect(stepOf(savepointOf({ disposal: "Keep" }, done, guarded))).toBe("removeFinalizer");
  });

  test("its files go by a pod, and then it goes", () => {
    expect(stepOf(savepointOf({ disposal: "Delete" }, done, going))).toBe("startDisposal");
    expect(stepOf(savepointOf({ disposal: "Delete" }, done, going), { disposal: "Running" })).toBe("wait");
    const gone = decideSavepoint(seen(savepointOf({ disposal: "Delete" }, done, going), { disposal: "Succeeded" }));
    expect(gone.step.kind).toBe("removeFinalizer");
    expect(gone.event).toMatchObject({ reason: "Disposed" });
  });

  test("files that a job may start from stay until it has moved on", () => {
    const { step, status, againAfterMs } = decideSavepoint(seen(savepointOf({ disposal: "Delete" }, done, going), { referenced: true }));
    expect(step.kind).toBe("wait");
    expect(status.phase).toBe("Disposing");
    expect(againAfterMs).toBeGreaterThan(0);
  });

  test("a disposal that fails, or takes too long, leaves the files and says so", () => {
    for (const [metadata, more] of [
      [going, { disposal: "Failed", disposalMessage: "access denied" }],
      [{ ...guarded, deletionTimestamp: at(11 * 60_000) }, { disposal: "Running" }],
    ] as const) {
      const { step, event } = decideSavepoint(seen(savepointOf({ disposal: "Delete" }, done, metadata), more));
      expect(step.kind).toBe("removeFinalizer");
      expect(event).toMatchObject({ type: "Warning", reason: "DisposalFailed" });
    }
  });

  test("it does not keep a namespace that is going, in which no pod can be made", () => {
    expect(stepOf(savepointOf({ disposal: "Delete" }, done, going), { terminating: true })).toBe("removeFinalizer");
    expect(stepOf(savepointOf({ disposal: "Delete" }, done, going), { terminating: true, referenced: true })).toBe("removeFinalizer");
  });

  test("one that was never taken, or whose files are kept, goes at once", () => {
    expect(stepOf(savepointOf({ disposal: "Delete" }, asked, going))).toBe("removeFinalizer");
    expect(stepOf(savepointOf({ disposal: "Keep" }, done, going))).toBe("removeFinalizer");
    expect(stepOf(savepointOf({ disposal: "Keep" }, done, { deletionTimestamp: at(0) }))).toBe("wait");
  });
});
