// The coordinator against a simulated world: whatever breaks and whoever leads, every record becomes visible once.
import { expect, test } from "vitest";
import { casesOf, runSeed } from "../../../../../test/reference/random.ts";
import type { CoordinatorEvent } from "./types.ts";
import type { JobGraph, Vertex } from "./job-graph.ts";
import { regionsOf } from "./job-graph.ts";
import type { RecoveryRecord } from "./recoveries.ts";
import { World, type WorldOptions } from "./simulated-world.suite.ts";

function vertex(uid: string, inputs: readonly string[], parallelism?: number): Vertex {
  return {
    uid,
    kind: "k",
    inputs,
    source: inputs.length === 0,
    keyed: false,
    stateful: true,
    ...(parallelism === undefined ? {} : { parallelism }),
  };
}

const vertices = [vertex("a", []), vertex("b", []), vertex("sink-a", ["a"]), vertex("sink-b", ["b"])];
const graph: JobGraph = { name: "sim", fingerprint: "f", maxParallelism: 8, deadLetters: undefined, regions: regionsOf(vertices) };

function world(seed: number, changes: Partial<WorldOptions> = {}): World {
  const made = new World({
    graph,
    seed,
    parallelism: 3,
    splits: { a: 5, b: 2 },
    recordsPerSplit: 300,
    bounded: true,
    faults: 0.004,
    ...changes,
  });
  made.addTaskManager(2);
  made.addTaskManager(2);
  return made;
}

function runUntil(made: World, done: () => boolean, steps = 20_000): void {
  for (let step = 0; step < steps; step++) {
    if (done()) return;
    // In the end nothing breaks any more, and the job must come to its end.
    if (step === 3000) made.faulty = false;
    try {
      made.step();
    } catch (error) {
      throw new Error(`seed ${made.options.seed}, ${made.nowMs} ms: ${String(error)}\n${made.logs.slice(-60).join("\n")}`, {
        cause: error,
      });
    }
  }
  expect.fail(`not done after ${steps} steps (seed ${made.options.seed}):\n${made.logs.slice(-60).join("\n")}`);
}

function everything(made: World): string[] {
  const { splits, recordsPerSplit } = made.options;
  return Object.entries(splits).flatMap(([uid, count]) =>
    Array.from({ length: count }, (_, split) => Array.from({ length: recordsPerSplit }, (_, at) => `${uid}-${split} ${at}`)).flat(),
  );
}

test("a bounded job ends with everything visible once", () => {
  const made = world(1, { faults: 0 });
  runUntil(made, () => made.outcome !== undefined);
  expect(made.outcome).toBe("ended");
  expect([...made.storage.visible.keys()].sort()).toEqual(everything(made).sort());
  expect(made.counts.restarts).toBe(0);
  expect(made.counts.checkpoints).toBeGreaterThan(3);
});

test("lost TaskManagers, cut connections, dead threads, failing slices, a failing storage and new leaders: still everything once", {
  timeout: 600_000,
}, () => {
  const [first, count] = [runSeed(), casesOf(25)];
  const sum = { leaders: 0, killed: 0, cut: 0, died: 0, storage: 0, checkpoints: 0, restarts: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const made = world(seed);
    runUntil(made, () => made.outcome !== undefined);
    expect(made.outcome, `seed ${seed}`).toBe("ended");
    expect([...made.storage.visible.keys()].sort(), `seed ${seed}`).toEqual(everything(made).sort());
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += made.counts[key];
  }
  // The faults did happen.
  for (const [fault, times] of Object.entries(sum)) expect(times, fault).toBeGreaterThan(count / 4);
});

function expectNoHoles(made: World): void {
  const counts = new Map<string, number>();
  for (const line of made.storage.visible.keys()) {
    const [split = ""] = line.split(" ");
    counts.set(split, (counts.get(split) ?? 0) + 1);
  }
  for (const [split, count] of counts)
    for (let at = 0; at < count; at++)
      expect(made.storage.visible.has(`${split} ${at}`), `seed ${made.options.seed}: ${split} ${at} is there`).toBe(true);
}

test.each(["stop", "drain"] as const)(
  "savepoints and other parallelisms while everything breaks, ended by %s",
  { timeout: 600_000 },
  (mode) => {
    const [first, count] = [runSeed(), casesOf(15)];
    let rescaled = 0;
    // In the last one the regions begin again while the savepoint is under way, so that it finds nothing that the checkpoint before it does not hold.
    for (const seed of [...Array.from({ length: count }, (_, index) => first + index), 1_504_660_512]) {
      const made = world(seed * 7, { bounded: false, faults: 0.003 });
      made.addTaskManager(2);
      const wanted = [1, 4, 3, 2];
      for (let step = 0; step < 1200; step++) {
        if (step % 200 === 100) made.tell({ kind: "savepointAsked", id: `kept-${step}`, mode: "keep" });
        if (step % 150 === 75) made.tell({ kind: "rescaleAsked", requestId: step, job: wanted[(step / 75) % 4] ?? 1 });
        made.step();
      }
      made.tell({ kind: "savepointAsked", id: "last", mode });
      // The request is lost with its leader when that dies before it is written down: its client asks again.
      runUntil(made, () => {
        if (made.outcome === undefined && made.coordinator.state.savepoints.get("last") === undefined)
          made.tell({ kind: "savepointAsked", id: "last", mode });
        return made.outcome !== undefined;
      });
      expect(made.outcome, `seed ${seed}`).toBe(mode === "stop" ? "stopped" : "drained");
      expectNoHoles(made);
      expect(made.storage.visible.size).toBeGreaterThan(100);
      const { id, withOutput } = made.storage.lastPublished();
      expect(
        made.storage.savepoints.get("last")?.checkpointId,
        `seed ${seed}: nothing was published that the savepoint does not hold`,
      ).toBe(id);
      expect(made.storage.lastVisible(), `seed ${seed}: all that it holds is visible`).toBe(withOutput);
      rescaled += made.rescales.filter((result) => !("code" in result)).length;
    }
    expect(rescaled).toBeGreaterThan(count);
  },
);

test("a job that needs more slots than there are waits, and says how many are missing", () => {
  const made = new World({ graph, seed: 1, parallelism: 5, splits: { a: 5, b: 2 }, recordsPerSplit: 10, bounded: true, faults: 0 });
  made.addTaskManager(2);
  for (let step = 0; step < 100; step++) made.step();
  expect(made.coordinator.state.waitingFor).toMatch(
    /^3 more slots: region "a" needs slots 2, 3, 4; 2 of 5 are there; start another TaskManager/,
  );
  made.addTaskManager(2);
  made.addTaskManager(1);
  runUntil(made, () => made.outcome !== undefined);
  expect([...made.storage.visible.keys()].sort()).toEqual(everything(made).sort());
});

test("another parallelism that does not fit the slots is refused, and the job goes on", () => {
  const made = world(1, { bounded: false, faults: 0 });
  for (let step = 0; step < 100; step++) made.step();
  made.tell({ kind: "rescaleAsked", requestId: 1, job: 6 });
  expect(made.rescales).toEqual([
    {
      code: "SLOTS_MISSING",
      message: expect.stringMatching(/needs 6 slots and 4 are there; start TaskManagers with 2 more slots/) as string,
    },
  ]);
  made.tell({ kind: "rescaleAsked", requestId: 2, job: 9 });
  made.tell({ kind: "rescaleAsked", requestId: 3, vertices: { nobody: 2 } });
  expect(made.rescales.slice(1).map((one) => "code" in one && one.code)).toEqual(["OPTION_INVALID", "OPTION_INVALID"]);
  expect(made.coordinator.state.regions.map((region) => region.state)).toEqual(["running", "running"]);
});

test("the parallelism of one vertex: its region alone is deployed anew, and the answer names the gap", () => {
  const made = world(1, { bounded: false, faults: 0 });
  for (let step = 0; step < 200; step++) made.step();
  const attempts = (): readonly number[] => made.coordinator.state.regions.map((region) => region.attempt);
  expect(attempts()).toEqual([1, 1]);
  made.tell({ kind: "rescaleAsked", requestId: 1, vertices: { "sink-b": 1, b: 1 } });
  made.step();
  // Asked again, as after a lost answer: the same answer, and no second change.
  made.tell({ kind: "rescaleAsked", requestId: 2, vertices: { "sink-b": 1, b: 1 } });
  made.tell({ kind: "rescaleAsked", requestId: 3, job: 2 });
  expect(made.rescales).toMatchObject([{ code: "JOB_NOT_RUNNING" }]);
  made.rescales.length = 0;
  runUntil(made, () => made.rescales.length > 0);
  expect(made.rescales).toHaveLength(2);
  expect(attempts()).toEqual([1, 2]);
  expect(made.rescales[0]).toMatchObject({ vertices: { a: 3, "sink-a": 3, b: 1, "sink-b": 1 } });
  expect(made.rescales[0]).toHaveProperty(
    "gapMs",
    expect.toSatisfy((gap: number) => gap > 0 && gap < 2000),
  );
  made.tell({ kind: "savepointAsked", id: "end", mode: "stop" });
  runUntil(made, () => made.outcome !== undefined);
  expectNoHoles(made);
});

test("a job that has stopped does not start again under the next leader", () => {
  const made = world(1, { bounded: false, faults: 0 });
  for (let step = 0; step < 100; step++) made.step();
  made.tell({ kind: "savepointAsked", id: "end", mode: "stop" });
  runUntil(made, () => made.outcome !== undefined);
  const seen = made.storage.visible.size;
  made.outcome = undefined;
  made.lead();
  for (let step = 0; step < 200; step++) made.step();
  expect(made.outcome).toBe("stopped");
  expect(made.storage.visible.size).toBe(seen);
});

// A leader dies when the checkpoint that `made` has taken last is complete, and nobody leads for `leaderlessMs`.
function takeOver(made: World, leaderlessMs: number): { readonly begunMs: number; readonly takenOverMs: number } {
  const { state } = made.coordinator;
  runUntil(made, () => state.pending === undefined && made.counts.checkpoints > 2);
  for (let ms = 0; ms < leaderlessMs; ms += 5) made.stepAlone();
  made.lead();
  const { state: next } = made.coordinator;
  runUntil(made, () => next.regions.every((region) => region.state === "running"));
  const takenOverMs = made.nowMs;
  expect(made.logs.some((line) => line.includes("running slices taken over"))).toBe(true);
  expect(made.counts.restarts).toBe(0);
  runUntil(made, () => next.pending !== undefined);
  return { begunMs: made.nowMs, takenOverMs };
}

test("a leader that takes running slices over begins the next checkpoint when it was due under the one before", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const made = world(seed, { bounded: false, faults: 0, recordsPerSplit: 100_000 });
    const { history } = made.coordinator.state;
    const { begunMs, takenOverMs } = takeOver(made, 0);
    const dueMs = (history.at(-1)?.triggeredAtMs ?? 0) + 200;
    // A trigger may take 20 ms to its slices, by which they are younger than the leader would say.
    expect(begunMs, `seed ${seed}`).toBeGreaterThanOrEqual(Math.max(takenOverMs, dueMs));
    expect(begunMs, `seed ${seed}`).toBeLessThanOrEqual(Math.max(takenOverMs, dueMs + 25));
  }
});

test("a leader that comes later than the next checkpoint was due begins it at once", () => {
  const made = world(1, { bounded: false, faults: 0, recordsPerSplit: 100_000 });
  const { begunMs, takenOverMs } = takeOver(made, 300);
  expect(begunMs).toBe(takenOverMs);
});

test("checkpoints keep their rhythm, however late the coordinator is looked at", () => {
  const made = world(1, { bounded: false, faults: 0, recordsPerSplit: 100_000 });
  const { history } = made.coordinator.state;
  // A checkpoint is due every 200 ms: at a look every 7 ms it begins up to 6 ms late, which must not add up.
  for (let step = 0; step < 2000 && history.length <= 20; step++) made.step(7);
  const [first, last] = [history[0], history[20]];
  expect((last?.triggeredAtMs ?? 0) - (first?.triggeredAtMs ?? 0)).toBeLessThanOrEqual(20 * 200 + 7);
});

test("a record that fails every attempt is named with its split and position", () => {
  const made = world(1, { bounded: false, faults: 0 });
  made.poison = { split: "b-1", position: 20 };
  runUntil(made, () => made.counts.restarts >= 4);
  expect(made.coordinator.state.exceptions.poison).toMatchObject([{ uid: "b", splitId: "b-1", position: 20 }]);
  expect(made.logs.some((line) => line.includes("a record fails every attempt"))).toBe(true);
  // The other region goes on untouched.
  expect(made.coordinator.state.regions.find((region) => region.id === "a")?.attempt).toBe(1);
});

test("a region that deploys to a TaskManager that is away outlives the loss of the one that its slot's number was given to", () => {
  const { coordinator } = new World({ graph, seed: 1, parallelism: 1, splits: {}, recordsPerSplit: 0, bounded: true, faults: 0 });
  let nowMs = 0;
  const deployed: string[] = [];
  const tell = (event: CoordinatorEvent, afterMs = 1): void => {
    for (const action of coordinator.handle(event, (nowMs += afterMs))) {
      if (action.kind === "writeRecord") tell({ kind: "recordWritten", record: action.record });
      if (action.kind === "send" && action.command.kind === "deploy")
        deployed.push(`${action.command.slice.region}#${action.command.slice.attempt} on ${action.taskManagerId}`);
    }
  };
  const slots = [{ index: 0, incarnation: 1, host: "h", port: 1 }];
  const states = (): readonly string[] => coordinator.state.regions.map(({ state }) => state);
  tell({ kind: "registered", taskManagerId: "first", slots, slices: [] });
  expect(deployed).toEqual(["a#1 on first", "b#1 on first"]);
  tell({ kind: "registered", taskManagerId: "second", slots, slices: [] });
  tell({
    kind: "slot",
    taskManagerId: "first",
    index: 0,
    event: { slice: { region: "a", attempt: 1, slot: 0 }, kind: "failed", code: "INTERNAL", message: "no", fatal: false },
  });
  tell({ kind: "disconnected", taskManagerId: "first", gone: false, reason: "away" });
  // Region a does not wait for the slot to come back; b does.
  tell({ kind: "tick" }, 50);
  expect(deployed.slice(2)).toEqual(["a#2 on second"]);
  tell({ kind: "disconnected", taskManagerId: "second", gone: true, reason: "lost" });
  expect(states()[1]).toBe("deploying");
  // The first one comes back without its slices: both regions begin again there.
  tell({ kind: "registered", taskManagerId: "first", slots, slices: [] });
  tell({ kind: "tick" }, 50);
  expect(deployed.slice(3)).toEqual(["a#3 on first", "b#2 on first"]);
  expect(states()).toEqual(["deploying", "deploying"]);
});

test("what ran on a lost TaskManager moves to spare slots at once, and each step of the restart is told", () => {
  const made = world(1, { bounded: false, faults: 0 });
  made.addTaskManager(2);
  const region = made.coordinator.state.regions.find((one) => one.id === "a");
  runUntil(made, () => region?.state === "running" && made.counts.checkpoints > 2);
  const slices = [...(region?.slices.values() ?? [])];
  const lost = made.taskManagers.find(({ id }) => id === slices[0]?.taskManagerId);
  const witness = slices.find((slice) => slice.taskManagerId !== lost?.id);
  if (lost === undefined || witness === undefined) return expect.fail("the region runs on one TaskManager");
  const killedMs = made.nowMs;
  made.kill(lost);
  const { id, taskManagerId, index } = witness;
  made.tell({
    kind: "slot",
    taskManagerId,
    index,
    event: { slice: id, kind: "failed", code: "EXCHANGE_LOST", message: "gone", fatal: false, lostSlot: slices[0]?.id.slot ?? 0 },
  });
  runUntil(made, () => region?.state === "running");
  const found = made.coordinator.state.recoveries.history;
  expect(found).toMatchObject([
    { region: "a", code: "EXCHANGE_LOST", failures: 1, detectedAtMs: killedMs, slowest: { snapshotMs: 1, instancesMs: 2, connectMs: 3 } },
  ]);
  const { detectedAtMs, cancelledAtMs, deployedAtMs, restoredAtMs, runningAtMs, restoredFrom } = found[0] as RecoveryRecord;
  const steps = [detectedAtMs, cancelledAtMs, deployedAtMs, restoredAtMs, runningAtMs] as number[];
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  // Less than the time that the lost one is given to come back, which is 100 ms here.
  expect((deployedAtMs ?? Infinity) - killedMs).toBeLessThan(80);
  expect(restoredFrom).not.toBeNull();
});

test("after the last attempt that the restart strategy allows the job fails, with the reason", () => {
  const made = world(1, { bounded: false, faults: 0, restarts: { kind: "fixed-delay", maxAttempts: 3, delayMs: 20 } });
  made.poison = { split: "b-1", position: 20 };
  runUntil(made, () => made.outcome !== undefined);
  expect(made.outcome).toBe("failed");
  expect(made.coordinator.state.record.reason).toBe("FUNCTION_FAILED: poison (at position 20 of split b-1, in b)");
  expect(made.counts.restarts).toBe(3);
});
