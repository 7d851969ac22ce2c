// Windows with a function of the user's own: all rows of each window in order, merged sessions, retractions, functions that fail.
import { expect, test, vi } from "vitest";
import { casesOf, randomCases } from "../../../../test/reference/random.ts";
import { eventSchema, harnessRow, randomSteps } from "../../../../test/reference/windows-cases.ts";
import { type Event, ReferenceSessions } from "../../../../test/reference/windows.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, list, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { windowProcess, type WindowFunction } from "./window-process.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const output = schema({ key: int53(), start: int53(), end: int53(), us: list(int53()) });
type Out = { key: number; start: number; end: number; us: number[] };

const listRows: WindowFunction<{ key: number }, { u: number }, Out> = (window, rows, emit) => {
  emit({ key: window.key.key, start: window.startMs, end: window.endMs, us: [...rows].map(({ u }) => u) });
};

test("sessions hand all their rows over through merges and restarts", async () => {
  let compared = 0;
  await randomCases("window functions", 60, async (random) => {
    const gapMs = random.int(1, 10);
    const layout = keyLayout(eventSchema, ["key"]);
    const factory = windowProcess({
      input: eventSchema,
      key: layout,
      window: { kind: "session", gapMs },
      output,
      process: listRows,
      lateOutput: "late",
    });
    let group = await HarnessGroup.open({ factory, inputs: [eventSchema], keys: [layout], maxParallelism: 4 });
    const reference = new ReferenceSessions(gapMs, 0, "append");
    const arrivals = new Map<string, number[]>();
    const note = (events: readonly Event[]): void => {
      for (const { row } of events) arrivals.set(String(row.key), [...(arrivals.get(String(row.key)) ?? []), row.u]);
    };
    for (const step of randomSteps(random, { keys: 3, delayMs: 10, paceMs: 10, steps: 12, retractions: false, restarts: true })) {
      if (step.restart !== undefined) group = await group.restart(step.restart);
      if (step.rows !== undefined) {
        note(step.rows);
        group.push(step.rows.map(harnessRow));
        reference.rows(step.rows);
      }
      if (step.watermarkMs === undefined) continue;
      const fired = reference.watermark(step.watermarkMs).map(({ key, start, end, results }) => `${key} ${start}-${end} ${results.n}`);
      const out = group.watermark(step.watermarkMs).take<Out>();
      expect(out.map(({ row }) => `${row.key} ${row.start}-${row.end} ${row.us.length}`).sort()).toEqual(fired.sort());
      for (const { row, timeMs } of out) {
        expect(timeMs).toBe(row.end - 1);
        // No row is there twice or under another key.
        expect(new Set(row.us).size).toBe(row.us.length);
        expect(row.us.every((u) => arrivals.get(String(row.key))?.includes(u))).toBe(true);
      }
      compared += out.length;
    }
    await group.close();
  });
  expect(compared).toBeGreaterThan(casesOf(300));
});

const input = schema({ k: string(), v: int53() });
const sums = schema({ k: string(), rows: int53() });

test("rows that are taken back are gone, and a function that fails makes a bad row and no more", async () => {
  const process: WindowFunction<{ k: string }, { v: number }, { k: string; rows: number }> = (window, rows, emit) => {
    if (window.key.k === "bad") throw new Error("no");
    emit({ k: window.key.k, rows: Number([...rows].map(({ v }) => v).join("")) }, 5);
  };
  const factory = windowProcess({ input, key: keyLayout(input, ["k"]), window: { kind: "tumbling", sizeMs: 10 }, output: sums, process });
  const harness = await OperatorHarness.open({ factory, inputs: [input] });
  harness.push([
    { row: { k: "a", v: 1 }, timeMs: 1 },
    { row: { k: "a", v: 3 }, timeMs: 2 },
    { row: { k: "a", v: 2 }, timeMs: 1 },
    { row: { k: "a", v: 1 }, timeMs: 1 },
    { row: { k: "bad", v: 1 }, timeMs: 2 },
    { row: { k: "a", v: 1 }, timeMs: 1, kind: "delete" },
    { row: { k: "c", v: 1 }, timeMs: 1 },
    { row: { k: "c", v: 1 }, timeMs: 1, kind: "updateBefore" },
  ]);
  harness.watermark(9);
  expect(harness.take()).toEqual([{ row: { k: "a", rows: 321 }, timeMs: 5, kind: "insert" }]);
  expect(harness.badRows).toMatchObject([
    { code: "FUNCTION_FAILED", reason: "the window function failed: no", row: { key: { k: "bad" }, startMs: 0, endMs: 10 } },
  ]);
  await harness.close();
});
