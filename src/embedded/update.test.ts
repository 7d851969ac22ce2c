// How an update goes on, as a table: whose turn it is, what it waits for, when it is given up.
import type { AppUpgrade, EmbeddedStreamAppSpec, EmbeddedStreamAppStatus } from "millrace/api";
import { expect, test } from "vitest";
import type { AppReport } from "../ports/app-client.ts";
import { Built } from "../resource/built.ts";
import { decide } from "./decide.ts";
import { appFinalizer, appSetName, appTokenName } from "./names.ts";
import type { AppObserved, AppPodSeen } from "./observed.ts";
import { newAppRevision } from "./revision.ts";

const nowMs = Date.parse("2026-05-01T12:00:00Z");
const before = (ms: number): string => new Date(nowMs - ms).toISOString();
const spec: EmbeddedStreamAppSpec = {
  applicationId: "orders",
  image: "app:2",
  kafka: { brokers: ["k:9092"] },
  topics: ["orders"],
  replicas: 2,
};
const appOf = (image: string, status: EmbeddedStreamAppStatus = {}): AppObserved["app"] => ({
  apiVersion: "millrace.dev/v1alpha1",
  kind: "EmbeddedStreamApp",
  metadata: { name: "orders", namespace: "shop", uid: "12345678", generation: 1, finalizers: [appFinalizer] },
  spec: { ...spec, image },
  status,
});
const one = newAppRevision(appOf("app:1"), 1);
const two = newAppRevision(appOf("app:2"), 2);
const pod = (ordinal: number, revision: string, its: Partial<AppPodSeen> = {}): AppPodSeen => ({
  ...{ name: `${appSetName("orders")}-${ordinal}`, uid: `u${ordinal}`, ordinal, revision, ready: true, running: true, deleting: false },
  ...{ restarts: 0, waiting: undefined, message: undefined, stopped: undefined, ip: "10.0.0.1", restPort: 8081 },
  ...its,
});
const good: AppReport = { state: "running", ready: true, totalTasks: 4, tasks: 2, restoringTasks: 0, lag: 10 };
const upgrade = (its: Partial<AppUpgrade> = {}): AppUpgrade => ({
  ...{
    id: "u",
    kind: "upgrade",
    phase: "rolling",
    from: one.name,
    to: two.name,
    partition: 1,
    phaseStartedAt: before(5_000),
    startedAt: before(60_000),
  },
  ...its,
});

function seen(
  current: AppUpgrade,
  pods: readonly (readonly [AppPodSeen, Partial<AppReport>])[],
  more: Partial<AppObserved> = {},
): AppObserved {
  return {
    nowMs,
    app: appOf("app:2", { currentRevision: two.name, stableRevision: one.name, wantedReplicas: 2, upgrade: current }),
    problem: undefined,
    revisions: [one, two],
    set: { uid: "s", replicas: 2, builtFrom: "x", deleting: false },
    pods: pods.map(([each]) => each),
    others: [{ kind: "Secret", name: appTokenName("orders"), uid: "t", run: undefined, builtFrom: undefined }],
    claims: [],
    reports: new Map(pods.map(([{ name }, report]) => [name, { kind: "answer" as const, answer: { ...good, ...report } }])),
    topics: { kind: "unasked" },
    savepoint: { kind: "unasked" },
    built: new Built(),
    ...more,
  };
}

const old = pod(0, one.name);
const turned = pod(1, two.name);

test.each<[string, AppObserved, Partial<EmbeddedStreamAppStatus>]>([
  [
    "the next pod's turn comes when the one before is caught up",
    seen(upgrade(), [
      [old, {}],
      [turned, {}],
    ]),
    { upgrade: upgrade({ partition: 0, phaseStartedAt: before(0) }) },
  ],
  [
    "not while it restores",
    seen(upgrade(), [
      [old, {}],
      [turned, { restoringTasks: 1 }],
    ]),
    { upgrade: upgrade() },
  ],
  [
    "not while it is far behind",
    seen(upgrade(), [
      [old, {}],
      [turned, { lag: 1001 }],
    ]),
    { upgrade: upgrade() },
  ],
  [
    "not while it is only ready for Kubernetes",
    seen(upgrade(), [
      [old, {}],
      [turned, { ready: false }],
    ]),
    { upgrade: upgrade() },
  ],
  ["not before it is there", seen(upgrade(), [[old, {}]]), { upgrade: upgrade() }],
  [
    "with the last one it is done",
    seen(upgrade({ partition: 0 }), [
      [pod(0, two.name), {}],
      [turned, {}],
    ]),
    {
      stableRevision: two.name,
      lastUpgrade: {
        id: "u",
        kind: "upgrade",
        from: one.name,
        to: two.name,
        result: "Succeeded",
        startedAt: before(60_000),
        endedAt: before(0),
      },
    },
  ],
  [
    "a pod that crashes again and again ends it",
    seen(upgrade(), [
      [old, {}],
      [pod(1, two.name, { ready: false, restarts: 3, message: "boom" }), { ready: false }],
    ]),
    {
      currentRevision: one.name,
      pinned: { revision: one.name, insteadOf: two.name, reason: "RolledBack", message: "pod orders-app-1 crashed 3 times: boom" },
    },
  ],
  [
    "so does one that is not caught up in time",
    seen(upgrade({ phaseStartedAt: before(31 * 60_000) }), [
      [old, {}],
      [turned, { restoringTasks: 1 }],
    ]),
    { currentRevision: one.name, state: "RollingBack" },
  ],
  [
    "a savepoint that is complete is kept, and the pods go",
    seen(
      upgrade({ phase: "savepointing" }),
      [
        [old, {}],
        [turned, {}],
      ],
      {
        savepoint: {
          kind: "answer",
          answer: {
            id: "u",
            mode: "stop",
            phase: "completed",
            location: "s3://sp",
            sizeBytes: 1,
            formatVersion: 1,
            cutAtMs: 1,
            completedAtMs: 1,
            failure: undefined,
          },
        },
      },
    ),
    { upgrade: upgrade({ phase: "stopping", savepoint: "s3://sp", phaseStartedAt: before(0) }) },
  ],
  [
    "the new version begins when all old pods are gone",
    seen(upgrade({ phase: "stopping", savepoint: "s3://sp" }), []),
    { restoredFrom: "s3://sp", restoreId: "u", currentRevision: two.name },
  ],
  [
    "not before",
    seen(upgrade({ phase: "stopping", savepoint: "s3://sp" }), [[old, {}]]),
    { upgrade: upgrade({ phase: "stopping", savepoint: "s3://sp" }) },
  ],
  [
    "what is given up because it is late says how its pods crashed",
    seen(upgrade({ phaseStartedAt: before(31 * 60_000) }), [
      [old, {}],
      [pod(1, two.name, { ready: false, restarts: 2, message: "Error: no such topic" }), { ready: false }],
    ]),
    {
      lastUpgrade: {
        ...{ id: "u", kind: "upgrade", from: one.name, to: two.name, result: "Failed", startedAt: before(60_000), endedAt: before(0) },
        message: `a pod of revision ${two.name} is not caught up in time; see spec.update.caughtUpTimeout; pod orders-app-1 crashed 2 times: Error: no such topic`,
      },
    },
  ],
  [
    "a savepoint with which all pods have ended before they were asked is in what they left",
    seen(upgrade({ phase: "savepointing" }), [
      [pod(0, one.name, { ready: false, running: false, stopped: { id: "u", location: "s3://sp" } }), { ready: false }],
    ]),
    { upgrade: upgrade({ phase: "stopping", savepoint: "s3://sp", phaseStartedAt: before(0) }) },
  ],
  [
    "an earlier savepoint is none of this update's",
    seen(upgrade({ phase: "savepointing" }), [[pod(0, one.name, { stopped: { id: "earlier", location: "s3://sp" } }), {}]]),
    { upgrade: upgrade({ phase: "savepointing" }) },
  ],
  [
    "a savepoint that never comes leaves the old version",
    seen(upgrade({ phase: "savepointing", phaseStartedAt: before(31 * 60_000) }), [[old, {}]]),
    { pinned: { revision: one.name, insteadOf: two.name, reason: "UpgradeFailed", message: "no savepoint was complete in time" } },
  ],
])("%s", (_name, its, expected) => {
  expect(decide(its).status).toMatchObject(expected);
});

test("a broken pod of another revision, which the StatefulSet would wait for, is deleted", () => {
  const its = seen(
    upgrade({ kind: "rollback", from: two.name, to: one.name }),
    [
      [old, {}],
      [pod(1, two.name, { ready: false, restarts: 5 }), { ready: false }],
    ],
    {},
  );
  const back = { ...its, app: appOf("app:1", { ...its.app.status, currentRevision: one.name }) };
  const { status } = decide(back);
  expect(decide({ ...back, app: { ...back.app, status } }).step).toEqual({
    kind: "delete",
    targets: [{ kind: "Pod", name: "orders-app-1", uid: "u1" }],
  });
});
