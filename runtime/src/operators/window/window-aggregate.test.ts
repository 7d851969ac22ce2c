// Windows against an independent computation: random rows out of order and late, random windows, retractions, restarts at other parallelism.
import { expect, test, vi } from "vitest";
import { casesOf, randomCases } from "../../../../test/reference/random.ts";
import {
  actualLines,
  allCalls,
  compareLines,
  compareRuns,
  eventSchema,
  expectedLines,
  harnessRow,
  keyChoices,
  randomAligned,
  randomSteps,
} from "../../../../test/reference/windows-cases.ts";
import { type Fired, type Mode, ReferenceSessions, ReferenceWindows } from "../../../../test/reference/windows.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { localAggregate, localAggregateSchema } from "./local-aggregate.ts";
import { windowAggregate } from "./window-aggregate.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const modes: readonly Mode[] = ["append", "changelog", "upsert"];

test("aligned windows give what their definition says, through lateness, retractions and rescaled restarts", async () => {
  let compared = 0;
  await randomCases("aligned windows", 400, async (random) => {
    const window = randomAligned(random);
    const retractions = random.chance(0.3);
    const latenessMs = random.chance(0.5) ? 0 : random.int(1, 15);
    const firing = random.pick(modes);
    // In these modes a group that loses its last row in a late firing is not told apart from one that never had any.
    if (retractions && firing !== "changelog" && latenessMs > 0) return;
    const names = random.pick(keyChoices);
    const shape = {
      keys: random.int(1, 6),
      delayMs: random.int(0, 15),
      paceMs: random.int(1, 12),
      steps: 14,
      retractions,
      restarts: random.chance(0.5),
    };
    const layout = keyLayout(eventSchema, names);
    const factory = windowAggregate({
      input: eventSchema,
      key: layout,
      window,
      calls: allCalls,
      latenessMs,
      firing,
      lateOutput: "late",
      retracting: retractions,
    });
    const group = await HarnessGroup.open({ factory, inputs: [eventSchema], keys: [layout], maxParallelism: 8, batchRows: 64 });
    try {
      compared += await compareRuns(group, new ReferenceWindows(window, latenessMs, firing), randomSteps(random, shape));
    } catch (error) {
      throw new Error(`${JSON.stringify({ window, latenessMs, firing, names, shape })} ${(error as Error).message}`, { cause: error });
    }
  });
  expect(compared).toBeGreaterThan(casesOf(5_000));
});

test("session windows merge, also over late rows, as their definition says", async () => {
  let compared = 0;
  await randomCases("session windows", 300, async (random) => {
    const gapMs = random.int(1, 12);
    const latenessMs = random.chance(0.5) ? 0 : random.int(1, 20);
    const firing = random.pick(modes);
    const shape = {
      keys: random.int(1, 4),
      delayMs: random.int(0, 20),
      paceMs: random.int(1, 15),
      steps: 16,
      retractions: false,
      restarts: random.chance(0.5),
    };
    const layout = keyLayout(eventSchema, random.pick(keyChoices));
    const factory = windowAggregate({
      input: eventSchema,
      key: layout,
      window: { kind: "session", gapMs },
      calls: allCalls,
      latenessMs,
      firing,
      lateOutput: "late",
    });
    const group = await HarnessGroup.open({ factory, inputs: [eventSchema], keys: [layout], maxParallelism: 8, batchRows: 64 });
    try {
      compared += await compareRuns(group, new ReferenceSessions(gapMs, latenessMs, firing), randomSteps(random, shape));
    } catch (error) {
      throw new Error(`${JSON.stringify({ gapMs, latenessMs, firing, shape })} ${(error as Error).message}`, { cause: error });
    }
  });
  expect(compared).toBeGreaterThan(casesOf(3_000));
});

test("a local aggregate before the window changes nothing but the number of rows between", async () => {
  let compared = 0;
  await randomCases("local and global", 100, async (random) => {
    const window = randomAligned(random);
    const retracting = random.chance(0.3);
    const flush = random.pick(["batch", "watermark"] as const);
    // What is held until a watermark fires a late window once where the rows alone would fire it for each batch.
    const latenessMs = flush === "watermark" || random.chance(0.5) ? 0 : random.int(1, 15);
    const layout = keyLayout(eventSchema, random.pick(keyChoices));
    const params = { input: eventSchema, key: layout, calls: allCalls, retracting };
    const local = await OperatorHarness.open({
      factory: localAggregate({ ...params, window, flush }),
      inputs: [eventSchema],
      batchRows: 64,
    });
    const factory = windowAggregate({ ...params, window, latenessMs, firing: "changelog", partial: true });
    const global = await OperatorHarness.open({ factory, inputs: [localAggregateSchema(params)] });
    const reference = new ReferenceWindows(window, latenessMs, "changelog");
    const shape = { keys: 4, delayMs: random.int(0, 15), paceMs: 8, steps: 12, retractions: retracting, restarts: false };
    for (const step of randomSteps(random, shape)) {
      let expected: Fired[] = [];
      if (step.rows !== undefined) {
        local.push(step.rows.map(harnessRow));
        expected = reference.rows(step.rows);
      } else if (step.watermarkMs !== undefined) {
        local.watermark(step.watermarkMs);
        expected = reference.watermark(step.watermarkMs);
      }
      global.push(local.take());
      if (step.watermarkMs !== undefined) global.watermark(step.watermarkMs);
      compareLines(JSON.stringify({ window, flush, latenessMs, retracting }), actualLines(global.take()), expectedLines(expected));
      compared += expected.length;
    }
    await local.close();
    await global.close();
  });
  expect(compared).toBeGreaterThan(casesOf(1_000));
});
