// Windows against SQL: random streams with late rows, the same rows and windows computed by DuckDB.
import { expect, test, vi } from "vitest";
import { casesOf, Random, runSeed } from "../../../../test/reference/random.ts";
import { compareLines, eventSchema, harnessRow, randomSteps } from "../../../../test/reference/windows-cases.ts";
import { type SqlCase, sqlCalls, sqlLine, windowsBySql } from "../../../../test/reference/windows-duckdb.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { windowAggregate } from "./window-aggregate.ts";
import type { WindowSpec } from "./window-spec.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const casesPerKind = casesOf(40);

function randomWindow(random: Random, kind: string): SqlCase["window"] {
  const offsetMs = random.int(-3, 3);
  if (kind === "session") return { kind, gapMs: random.int(1, 10) };
  if (kind === "cumulate") {
    const everyMs = random.int(1, 6);
    return { kind, everyMs, sizeMs: everyMs * random.int(1, 5), offsetMs };
  }
  const sizeMs = random.int(1, 20);
  return kind === "sliding"
    ? { kind, sizeMs, everyMs: random.int(1, 15), offsetMs }
    : { kind: "tumbling", sizeMs, everyMs: sizeMs, offsetMs };
}

function specOf(window: SqlCase["window"]): WindowSpec {
  switch (window.kind) {
    case "session":
      return window;
    case "tumbling":
      return { kind: "tumbling", sizeMs: window.sizeMs, offsetMs: window.offsetMs };
    case "sliding":
      return { kind: "sliding", sizeMs: window.sizeMs, slideMs: window.everyMs, offsetMs: window.offsetMs };
    case "cumulate":
      return { kind: "cumulate", sizeMs: window.sizeMs, stepMs: window.everyMs, offsetMs: window.offsetMs };
  }
}

test.each(["tumbling", "sliding", "cumulate", "session"])("%s windows agree with DuckDB", async (kind) => {
  const seed = runSeed();
  process.stdout.write(`${kind} by SQL: ${casesPerKind} random cases, MILLRACE_SEED=${seed}\n`);
  const cases: SqlCase[] = [];
  const lines: string[] = [];
  for (let id = 0; id < casesPerKind; id++) {
    const random = new Random(Math.imul(seed, 7919) ^ Math.imul(id + 1, 0x9e3779b1));
    const window = randomWindow(random, kind);
    const layout = keyLayout(eventSchema, ["key"]);
    const factory = windowAggregate({ input: eventSchema, key: layout, window: specOf(window), calls: sqlCalls });
    let group = await HarnessGroup.open({ factory, inputs: [eventSchema], keys: [layout], maxParallelism: 4 });
    const events: { event: SqlCase["events"][number]["event"]; watermarkMs: number }[] = [];
    let watermarkMs = -Infinity;
    // A late row can bridge sessions only by the order of arrival, which SQL does not see: there no row is late.
    const paceMs = random.int(1, 12);
    for (const step of randomSteps(random, { keys: 3, delayMs: 12, paceMs, steps: 16, retractions: false, restarts: random.chance(0.3) })) {
      if (step.rows !== undefined) {
        group.push(step.rows.map(harnessRow));
        events.push(...step.rows.map((event) => ({ event, watermarkMs })));
      } else if (step.watermarkMs !== undefined) {
        const reached = kind === "session" && step.watermarkMs < 5_000 ? step.watermarkMs - 60 : step.watermarkMs;
        watermarkMs = Math.max(watermarkMs, reached);
        group.watermark(reached);
      } else if (step.restart !== undefined) {
        const before = group.take();
        lines.push(...before.map(({ row }) => resultLine(id, row)));
        group = await group.restart(step.restart);
      }
    }
    lines.push(...group.take().map(({ row }) => resultLine(id, row)));
    await group.close();
    if (events.length > 0) cases.push({ id, events, window });
  }
  const expected = await windowsBySql(kind, cases);
  expect(expected.length).toBeGreaterThan(casesPerKind * 8);
  compareLines(`${kind} with MILLRACE_SEED=${seed}`, lines.sort(), expected);
});

function resultLine(id: number, row: Record<string, unknown>): string {
  const { key, windowStart, windowEnd, ...results } = row;
  return sqlLine([
    id,
    key,
    windowStart,
    windowEnd,
    ...Object.values(results).map((value) => (value instanceof Decimal ? value.rescale(2) : value)),
  ]);
}
