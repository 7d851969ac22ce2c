// The coordinator against a simulated world: whatever breaks and whoever leads, every record becomes visible once.
import { expect, test } from "vitest";
import type { JobGraph, Vertex } from "./job-graph.ts";
import { regionsOf } from "./job-graph.ts";
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
  expect([...made.visible.keys()].sort()).toEqual(everything(made).sort());
  expect(made.counts.restarts).toBe(0);
  expect(made.counts.checkpoints).toBeGreaterThan(3);
});

test("lost TaskManagers, cut connections, dead threads, failing slices, a failing storage and new leaders: still everything once", {
  timeout: 600_000,
}, () => {
  const { MILLRACE_SEEDS: count = "25", MILLRACE_FIRST_SEED: first = "1" } = process.env;
  const sum = { leaders: 0, killed: 0, cut: 0, died: 0, storage: 0, checkpoints: 0, restarts: 0 };
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    const made = world(seed);
    runUntil(made, () => made.outcome !== undefined);
    expect(made.outcome, `seed ${seed}`).toBe("ended");
    expect([...made.visible.keys()].sort(), `seed ${seed}`).toEqual(everything(made).sort());
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += made.counts[key];
  }
  // The faults did happen.
  for (const [fault, times] of Object.entries(sum)) expect(times, fault).toBeGreaterThan(Number(count) / 4);
});
