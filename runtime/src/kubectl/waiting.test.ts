// When a job counts as ready, stable, suspended or finished, and when waiting for it is in vain.
import { expect, test } from "vitest";
import type { StreamJobStatus } from "../api/index.ts";
import type { StreamJobObject } from "./objects.ts";
import { type Goal, judge, waitFor } from "./waiting.ts";

const time = "2026-01-01T00:00:00Z";
const job = (status: StreamJobStatus | undefined, generation = 3): StreamJobObject => ({
  metadata: { name: "clicks", namespace: "shop", generation, creationTimestamp: time },
  spec: { job: { module: "clicks.ts" } },
  ...(status === undefined ? {} : { status }),
});
const ready = (status: "True" | "False"): NonNullable<StreamJobStatus["conditions"]>[number] => ({
  type: "Ready",
  status,
  reason: status === "True" ? "Running" : "Starting",
  message: "as it is",
  lastTransitionTime: time,
});
const running: StreamJobStatus = {
  observedGeneration: 3,
  state: "Running",
  conditions: [ready("True")],
  currentRevision: "b",
  stableRevision: "b",
};
const upgrade = { id: "1", kind: "upgrade", phase: "starting", mode: "savepoint", startedAt: time, phaseStartedAt: time } as const;
const pinned = { revision: "a", insteadOf: "b", reason: "RolledBack", message: "it crashed" } as const;

const cases: readonly (readonly [string, Goal, StreamJobStatus | undefined, { done: boolean; hopeless: boolean }])[] = [
  ["runs", "ready", running, { done: true, hopeless: false }],
  ["nobody has seen it", "ready", undefined, { done: false, hopeless: false }],
  ["ready, but before the last change", "ready", { ...running, observedGeneration: 2 }, { done: false, hopeless: false }],
  ["ready in the midst of an upgrade", "ready", { ...running, upgrade }, { done: false, hopeless: false }],
  ["starting", "ready", { ...running, conditions: [ready("False")] }, { done: false, hopeless: false }],
  ["failed", "ready", { ...running, state: "Failed", conditions: [ready("False")] }, { done: false, hopeless: true }],
  ["runs with a checkpoint", "stable", running, { done: true, hopeless: false }],
  ["runs without a checkpoint yet", "stable", { ...running, stableRevision: "a" }, { done: false, hopeless: false }],
  ["rolled back", "stable", { ...running, pinned }, { done: false, hopeless: true }],
  ["runs", "suspended", running, { done: false, hopeless: false }],
  ["suspended", "suspended", { ...running, state: "Suspended" }, { done: true, hopeless: false }],
  ["failed", "suspended", { ...running, state: "Failed" }, { done: false, hopeless: true }],
  ["finished", "finished", { ...running, state: "Finished" }, { done: true, hopeless: false }],
];

test.each(cases)("a job that is %s, for the goal %s", (_, goal, status, expected) => {
  const { done, hopeless = false } = judge(job(status), goal);
  expect({ done, hopeless }).toEqual(expected);
});

test("waiting ends at the goal, at the timeout with what it was, and at once when it is in vain", async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, sleep: (ms: number) => Promise.resolve(void (nowMs += ms)) };
  let looks = 0;
  await waitFor("clicks", "ready", () => Promise.resolve({ done: ++looks === 4, now: "starting" }), 60_000, clock);
  expect(looks).toBe(4);
  const never = () => Promise.resolve({ done: false, now: "Deploying, Starting: no slots" });
  await expect(waitFor("clicks", "ready", never, 60_000, clock)).rejects.toThrow("it is not ready yet: Deploying, Starting: no slots");
  const since = nowMs;
  const failed = () => Promise.resolve({ done: false, now: "Failed", hopeless: true });
  await expect(waitFor("clicks", "ready", failed, 60_000, clock)).rejects.toThrow("it will not be ready: Failed");
  expect(nowMs).toBe(since);
});
