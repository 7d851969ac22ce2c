// The decision, state by state: what is known on the left, the one step or record that must follow on the right.
import type { StreamJobSpec, StreamJobStatus, UpgradePhase, UpgradeProgress } from "millrace/api";
import { describe, expect, test } from "vitest";
import type { JobReport, SavepointReport } from "../ports/job-client.ts";
import { typeOf } from "../ports/kind-table.ts";
import type { StreamJob } from "../ports/objects.ts";
import { Built } from "../resource/built.ts";
import { decide } from "./decide.ts";
import { wantedRuns } from "./desired.ts";
import { finalizer, runName, tokenSecretName } from "./names.ts";
import { digest } from "../resource/names.ts";
import type { Observed, PodSeen, WorkloadSeen } from "./observed.ts";
import { newRevision, type Revision } from "./revision.ts";
import { savepointToRecord, takenAnnotation } from "./savepoint-record.ts";
import type { Decision } from "./step.ts";
import { builtFrom } from "./build/workload.ts";
import { jobObjects, runObjects } from "./build/support.ts";

const nowMs = Date.UTC(2026, 5, 1);
const at = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();
const spec: StreamJobSpec = { image: "app:1", job: { module: "job.ts" }, checkpoints: { storage: "s3://a/b" }, parallelism: 2 };

const jobOf = (its: StreamJobSpec, status?: StreamJobStatus, more: Partial<StreamJob["metadata"]> = {}): StreamJob => ({
  ...typeOf("StreamJob"),
  metadata: {
    name: "clicks",
    namespace: "jobs",
    uid: "11111111-2222",
    resourceVersion: "5",
    generation: 3,
    creationTimestamp: "2026-05-01T00:00:00Z",
    finalizers: [finalizer],
    ...more,
  },
  spec: its,
  ...(status === undefined ? {} : { status }),
});
const first: Revision = newRevision(jobOf(spec), 1, "");
const second: Revision = newRevision(jobOf({ ...spec, image: "app:2" }), 2, "");

const report = (run: number, more: Partial<JobReport> = {}): JobReport => ({
  run,
  state: "running",
  parallelism: 2,
  restarts: 0,
  lastFailure: undefined,
  restoredFrom: undefined,
  runningSinceMs: nowMs - 60_000,
  prepared: false,
  lastCheckpoint: { id: 1, location: undefined, completedAtMs: nowMs - 1_000 },
  ...more,
});
const savepoint = (more: Partial<SavepointReport>): SavepointReport => ({
  id: "x",
  mode: "stop",
  phase: "running",
  location: undefined,
  sizeBytes: undefined,
  formatVersion: undefined,
  cutAtMs: undefined,
  completedAtMs: undefined,
  failure: undefined,
  ...more,
});

const active: NonNullable<StreamJobStatus["active"]> = {
  run: 10,
  revision: first.name,
  restore: { sinceRun: 10 },
  standby: false,
  parallelism: 2,
  phase: "stable",
  startedAt: at(3_600_000),
};
const stable: StreamJobStatus = { run: 10, currentRevision: first.name, stableRevision: first.name, active };
const upgrade = (phase: UpgradePhase, more: Partial<UpgradeProgress> = {}): UpgradeProgress => ({
  id: "op-11",
  kind: "upgrade",
  phase,
  mode: "savepoint",
  from: { run: 10, revision: first.name },
  to: { run: 11, revision: second.name, parallelism: 2, standby: true },
  startedAt: at(5_000),
  phaseStartedAt: at(5_000),
  ...more,
});
const pods = (run: number, more: Partial<PodSeen> = {}): readonly PodSeen[] =>
  (["jobmanager", "taskmanager"] as const).map((component) => ({
    name: `${run}-${component}`,
    run,
    component,
    ready: true,
    running: true,
    deleting: false,
    ended: false,
    ip: "10.0.0.1",
    restPort: 8081,
    restarts: 0,
    waiting: undefined,
    message: undefined,
    ...more,
  }));

/** Everything that should be there is there, unless `more` says otherwise. */
function seen(job: StreamJob, more: Partial<Observed> = {}): Observed {
  const bare: Observed = {
    nowMs,
    job,
    problem: undefined,
    revisions: [first, second],
    workloads: [],
    pods: [],
    others: [{ kind: "Secret", name: tokenSecretName("clicks"), uid: "s", run: undefined, builtFrom: undefined }],
    leaseMissing: false,
    savepoints: [],
    reports: new Map(),
    savepoint: { kind: "unasked" },
    refused: undefined,
    terminating: false,
    defaultImage: undefined,
    built: new Built(),
    ...more,
  };
  const plans = wantedRuns(bare);
  const objects = [
    ...jobObjects(
      job,
      plans.map(({ run }) => runName("clicks", run)),
      job.status?.active?.run,
    ),
    ...plans.flatMap(runObjects),
  ];
  const others = objects.map((object) => ({
    kind: object.kind as Observed["others"][number]["kind"],
    name: object.metadata.name,
    uid: object.metadata.name,
    run: object.metadata.labels?.["millrace.dev/run"] === undefined ? undefined : Number(object.metadata.labels["millrace.dev/run"]),
    builtFrom: object.metadata.annotations?.["millrace.dev/built-from"],
  }));
  const workloads = plans.flatMap((plan) =>
    (["jobmanager", "taskmanager"] as const).map<WorkloadSeen>((component) => ({
      component,
      name: `${plan.run}-${component}`,
      uid: `${plan.run}-${component}`,
      run: plan.run,
      replicas: component === "jobmanager" ? plan.jobManagers : plan.taskManagers,
      readyReplicas: component === "jobmanager" ? plan.jobManagers : plan.taskManagers,
      builtFrom: builtFrom(plan, component),
      deleting: false,
    })),
  );
  return {
    ...bare,
    others: [...bare.others, ...others],
    workloads: more.workloads ?? workloads,
    pods: more.pods ?? plans.flatMap(({ run }) => [...pods(run), { ...pods(run)[1], name: `${run}-taskmanager-2` } as PodSeen]),
  };
}

const answers = (...reports: readonly JobReport[]): Observed["reports"] =>
  new Map(reports.map((one) => [one.run, { kind: "answer" as const, answer: one }]));
/** In one word: the step, or what the status becomes. */
function what(decision: Decision, before: StreamJobStatus | undefined): string {
  const { upgrade: now } = decision.status;
  const was = before?.upgrade;
  if (now?.phase !== was?.phase || now?.id !== was?.id || now?.savepointAttempt !== was?.savepointAttempt)
    return now === undefined ? `end ${decision.status.lastUpgrade?.result ?? ""}` : `${now.kind} ${now.phase}`;
  return decision.step.kind;
}
const decided = (observed: Observed): string => what(decide(observed), observed.job.status);

const v2: StreamJobSpec = { ...spec, image: "app:2" };
const gone = { workloads: [], pods: [] };
const completed = { kind: "answer" as const, answer: savepoint({ phase: "completed", location: "s3://a/b/sp", cutAtMs: nowMs - 100 }) };
const failed = { kind: "answer" as const, answer: savepoint({ phase: "failed", failure: "no" }) };
const unknown = { kind: "answer" as const, answer: undefined };

describe("without an operation", () => {
  const table: readonly (readonly [string, Observed, string])[] = [
    ["a new object gets a finalizer", seen(jobOf(spec, undefined, { finalizers: [] })), "addFinalizer"],
    ["then a token", seen(jobOf(spec), { others: [] }), "createToken"],
    ["then its revision", seen(jobOf(spec), { revisions: [] }), "createRevision"],
    ["then it is deployed", seen(jobOf(spec, {})), "deploy stopping"],
    ["a suspended new job stays so", seen(jobOf({ ...spec, suspend: true }, {})), "wait"],
    ["an invalid new job waits", seen(jobOf(spec, {}), { problem: "spec.x: bad", revisions: [] }), "wait"],
    [
      "a suspended job is not started again by an invalid manifest",
      seen(jobOf({ ...spec, parallelism: 9_999 }, { run: 10, currentRevision: first.name, resumeFrom: { sinceRun: 10 } }), {
        problem: "spec.x: bad",
      }),
      "wait",
    ],
    ["a stable job rests", seen(jobOf(spec, stable), { reports: answers(report(10)) }), "wait"],
    ["another image is upgraded, warm", seen(jobOf(v2, stable), { reports: answers(report(10)) }), "upgrade preparing"],
    [
      "another image is upgraded, cold",
      seen(jobOf({ ...v2, upgrade: { warmStandby: false } }, stable), { reports: answers(report(10)) }),
      "upgrade savepointing",
    ],
    ["from the last state", seen(jobOf({ ...v2, upgrade: { mode: "last-state" } }, stable)), "upgrade stopping"],
    ["without state", seen(jobOf({ ...v2, upgrade: { mode: "stateless" } }, stable)), "upgrade stopping"],
    [
      "a version that was never stable is replaced from what it was started from",
      seen(jobOf(v2, { ...stable, active: { ...active, phase: "starting" } })),
      "upgrade stopping",
    ],
    [
      "a job that has failed cannot take a savepoint",
      seen(jobOf(v2, stable), { reports: answers(report(10, { state: "failed" })) }),
      "upgrade stopping",
    ],
    ["suspend", seen(jobOf({ ...spec, suspend: true }, stable), { reports: answers(report(10)) }), "suspend savepointing"],
    ["restart", seen(jobOf({ ...spec, restartNonce: "2" }, stable), { reports: answers(report(10)) }), "restart preparing"],
    ["redeploy", seen(jobOf({ ...spec, upgrade: { redeploy: { location: "s3://x" } } }, stable)), "redeploy stopping"],
    ["a missing workload is made", seen(jobOf(spec, stable), { workloads: [] }), "apply"],
    ["an invalid manifest heals too", seen(jobOf(v2, stable), { problem: "spec.x: bad", workloads: [] }), "apply"],
    ["an invalid manifest upgrades nothing", seen(jobOf(v2, stable), { problem: "spec.x: bad" }), "wait"],
    ["what is left of another run goes", seen(jobOf(spec, stable), { pods: [...pods(10), ...pods(9)] }), "delete"],
    ["deletion without a policy", seen(jobOf(spec, stable, { deletionTimestamp: at(1_000) })), "delete stopping"],
    [
      "deletion with a savepoint",
      seen(jobOf({ ...spec, deletion: { policy: "savepoint" } }, stable, { deletionTimestamp: at(1_000) }), {
        reports: answers(report(10)),
      }),
      "delete savepointing",
    ],
    ["deletion of an object without status", seen(jobOf(spec, undefined, { deletionTimestamp: at(1_000) })), "removeFinalizer"],
    ["deletion that takes too long", seen(jobOf(spec, stable, { deletionTimestamp: at(3_600_000) })), "removeFinalizer"],
  ];
  test.each(table)("%s", (_name, observed, expected) => expect(decided(observed)).toBe(expected));

  test("a change of parallelism is recorded as a rescale, then asked of the job", () => {
    const wanted = jobOf({ ...spec, parallelism: 4 }, stable);
    const recorded = decide(seen(wanted, { reports: answers(report(10)) })).status;
    expect(recorded.rescale).toMatchObject({ from: 2, to: 4 });
    const next = jobOf({ ...spec, parallelism: 4 }, recorded);
    expect(decided(seen(next, { reports: answers(report(10)) }))).toBe("rescale");
    expect(decided(seen(next, { reports: answers(report(10)), refused: { step: "rescale", reason: "no" } }))).toBe("rescale preparing");
  });
});

describe("during an upgrade", () => {
  const inPhase = (phase: UpgradePhase, more: Partial<UpgradeProgress> = {}): StreamJob =>
    jobOf(v2, { ...stable, run: 11, upgrade: upgrade(phase, more) });
  const started: StreamJobStatus = {
    ...stable,
    run: 11,
    active: {
      run: 11,
      revision: second.name,
      restore: { sinceRun: 11, location: "s3://a/b/sp" },
      standby: true,
      parallelism: 2,
      phase: "starting",
      startedAt: at(5_000),
    },
    upgrade: upgrade("starting", { restore: { sinceRun: 11, location: "s3://a/b/sp" }, savepoint: "s3://a/b/sp", stoppedAt: at(5_000) }),
  };
  const standby = report(11, { state: "standby", prepared: true, lastCheckpoint: undefined });
  const fresh = report(11, { lastCheckpoint: undefined, runningSinceMs: nowMs - 4_000 });
  const savepoints = [
    {
      ...typeOf("Savepoint"),
      metadata: { name: `clicks-upgrade-${digest("op-11").slice(0, 8)}`, namespace: "jobs" },
      spec: { job: "clicks" },
    },
  ];
  const table: readonly (readonly [string, Observed, string])[] = [
    ["new pods that are not ready are waited for", seen(inPhase("preparing"), { reports: answers(report(10)) }), "wait"],
    ["ready ones lead to the savepoint", seen(inPhase("preparing"), { reports: answers(report(10), standby) }), "upgrade savepointing"],
    [
      "ones that crash end it, and the old run was never stopped",
      seen(inPhase("preparing"), { pods: [...pods(10), ...pods(11, { ready: false, restarts: 3 })] }),
      "end Failed",
    ],
    ["ones that take too long end it", seen(inPhase("preparing", { phaseStartedAt: at(3_600_000) })), "end Failed"],
    [
      "the savepoint is asked for once it is known to be unknown",
      seen(inPhase("savepointing", { savepointId: "op-11" }), { reports: answers(report(10)), savepoint: unknown }),
      "startSavepoint",
    ],
    [
      "while nobody answers nothing is asked",
      seen(inPhase("savepointing", { savepointId: "op-11" }), { savepoint: { kind: "unreachable", reason: "x" } }),
      "wait",
    ],
    [
      "not while pods of a third run are there",
      seen(inPhase("savepointing", { savepointId: "op-11" }), {
        reports: answers(report(10)),
        savepoint: unknown,
        pods: [...pods(10), ...pods(9, { deleting: true })],
      }),
      "wait",
    ],
    [
      "one under way is waited for",
      seen(inPhase("savepointing", { savepointId: "op-11" }), {
        reports: answers(report(10, { state: "stopping" })),
        savepoint: { kind: "answer", answer: savepoint({}) },
      }),
      "wait",
    ],
    [
      "a complete one starts the new run",
      seen(inPhase("savepointing", { savepointId: "op-11" }), { reports: answers(report(10, { state: "stopped" })), savepoint: completed }),
      "upgrade starting",
    ],
    [
      "a failed one is tried again under another id",
      seen(inPhase("savepointing", { savepointId: "op-11", savepointAttempt: 1 }), { reports: answers(report(10)), savepoint: failed }),
      "upgrade savepointing",
    ],
    [
      "after three the upgrade is given up while the old run goes on",
      seen(inPhase("savepointing", { savepointId: "op-11-3", savepointAttempt: 3 }), { reports: answers(report(10)), savepoint: failed }),
      "end Failed",
    ],
    [
      "a job that does not run for a minute is replaced from its newest checkpoint",
      seen(inPhase("savepointing", { savepointId: "op-11", phaseStartedAt: at(61_000) }), {
        savepoint: { kind: "unreachable", reason: "x" },
      }),
      "upgrade stopping",
    ],
    [
      "old pods that are there hold the new run back",
      seen(inPhase("stopping"), { pods: pods(10, { deleting: true }), workloads: [] }),
      "apply",
    ],
    [
      "however long they take",
      seen(
        inPhase("stopping", { phaseStartedAt: at(86_400_000), to: { run: 11, revision: second.name, parallelism: 2, standby: false } }),
        { pods: pods(10, { deleting: true }), workloads: [] },
      ),
      "wait",
    ],
    [
      "when they are gone the new run starts",
      seen(
        inPhase("stopping", { to: { run: 11, revision: second.name, parallelism: 2, standby: false }, restore: { sinceRun: 10 } }),
        gone,
      ),
      "upgrade starting",
    ],
    ["a run that stands by is told to start", seen(jobOf(v2, started), { reports: answers(standby) }), "startRun"],
    ["one that runs is waited for", seen(jobOf(v2, started), { reports: answers(fresh), savepoints }), "wait"],
    ["its first checkpoint makes it stable", seen(jobOf(v2, started), { reports: answers(report(11)) }), "end Succeeded"],
    [
      "one that fails is rolled back",
      seen(jobOf(v2, started), { reports: answers(report(11, { state: "failed", lastCheckpoint: undefined, lastFailure: "schema" })) }),
      "rollback stopping",
    ],
    ["one that crashes is rolled back", seen(jobOf(v2, started), { pods: pods(11, { ready: false, restarts: 3 }) }), "rollback stopping"],
    [
      "one without a checkpoint in time is rolled back",
      seen(jobOf(v2, { ...started, upgrade: { ...(started.upgrade as UpgradeProgress), phaseStartedAt: at(301_000) } }), {
        reports: answers(fresh),
      }),
      "rollback stopping",
    ],
    [
      "unless that is not wanted",
      seen(
        jobOf(
          { ...v2, rollback: { automatic: false } },
          { ...started, upgrade: { ...(started.upgrade as UpgradeProgress), phaseStartedAt: at(301_000) } },
        ),
        { reports: answers(fresh), savepoints },
      ),
      "wait",
    ],
    ["another wish ends it", seen(jobOf({ ...spec, image: "app:1" }, started), { reports: answers(fresh) }), "end Superseded"],
    ["deletion ends it", seen(jobOf(v2, started, { deletionTimestamp: at(1_000) }), { reports: answers(fresh) }), "end "],
  ];
  test.each(table)("%s", (_name, observed, expected) => expect(decided(observed)).toBe(expected));

  test("the rollback starts from the savepoint that the upgrade took, and pins the revision", () => {
    const { status } = decide(seen(jobOf(v2, started), { reports: answers(report(11, { state: "failed", lastCheckpoint: undefined })) }));
    expect(status.upgrade).toMatchObject({
      kind: "rollback",
      to: { run: 12, revision: first.name },
      restore: { sinceRun: 11, location: "s3://a/b/sp" },
    });
    expect(status.pinned).toMatchObject({ revision: first.name, insteadOf: second.name, reason: "RolledBack" });
  });

  test("what the job says of its savepoint is kept, and is on the resource that is made of it", () => {
    const told = savepoint({ phase: "completed", location: "s3://a/b/sp", sizeBytes: 5_000, formatVersion: 2, completedAtMs: nowMs - 50 });
    const asked = jobOf(v2, { ...stable, run: 11, upgrade: upgrade("savepointing", { savepointId: "op-11" }) });
    const { status } = decide(seen(asked, { savepoint: { kind: "answer", answer: told } }));
    const facts = { sizeBytes: 5_000, formatVersion: 2, completedAt: new Date(nowMs - 50).toISOString() };
    // Its last checkpoint, or where there is none, the savepoint that was copied from it.
    expect(status.upgrade).toMatchObject({ phase: "starting", savepointFacts: facts, restore: { sinceRun: 10, location: "s3://a/b/sp" } });
    // The operation may be over before the resource is made.
    const over = decide(seen(jobOf(v2, status), { reports: answers(report(11)) })).status;
    expect(over.upgrade).toBeUndefined();
    for (const known of [status, over]) {
      const made = savepointToRecord(seen(jobOf(v2, known)));
      expect(JSON.parse(made?.metadata.annotations?.[takenAnnotation] ?? "")).toMatchObject({ location: "s3://a/b/sp", ...facts });
    }
  });

  test("old pods that stay too long are said, with what to do", () => {
    const to = { run: 11, revision: second.name, parallelism: 2, standby: false };
    const { status } = decide(
      seen(inPhase("stopping", { phaseStartedAt: at(600_000), to }), { pods: pods(10, { deleting: true }), workloads: [] }),
    );
    expect(status.conditions?.find(({ type }) => type === "Degraded")).toMatchObject({ status: "True", reason: "OldPodsNotGone" });
  });

  test("the gap is from the old run's cut to the new run's first moment", () => {
    const { status } = decide(seen(jobOf(v2, started), { reports: answers(report(11, { runningSinceMs: nowMs - 4_200 })) }));
    expect(status.lastUpgrade).toMatchObject({ result: "Succeeded", gapMs: 800, savepoint: "s3://a/b/sp" });
  });
});

describe("the generation that the status speaks of", () => {
  const before: StreamJobStatus = { ...stable, observedGeneration: 2 };
  const changed = jobOf({ ...spec, image: "app:2" }, before);
  const reports = new Map([[10, { kind: "answer" as const, answer: report(10) }]]);
  const generations = ({ status }: Decision): readonly unknown[] => [
    status.observedGeneration,
    ...(status.conditions ?? []).map((condition) => condition.observedGeneration),
  ];

  test("is the old one while the revision of a new manifest is being made", () => {
    const decision = decide(seen(changed, { revisions: [first], reports }));
    expect(decision.step.kind).toBe("createRevision");
    expect(generations(decision)).toEqual([2, 2, 2, 2]);
  });

  test("is the new one from the record of the upgrade on, which says that it is in progress", () => {
    const decision = decide(seen(changed, { reports }));
    expect(decision.status.upgrade?.kind).toBe("upgrade");
    expect(generations(decision)).toEqual([3, 3, 3, 3]);
    expect(decision.status.conditions?.find(({ type }) => type === "Progressing")?.status).toBe("True");
  });

  test("is the new one at once where the manifest asks for nothing that is not so", () => {
    expect(generations(decide(seen(jobOf(spec, before), { reports })))).toEqual([3, 3, 3, 3]);
  });
});
