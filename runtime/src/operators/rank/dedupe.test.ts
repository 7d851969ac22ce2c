// Dedupe against plain maps and DuckDB: first and last, by arrival and by time, bounded by time, with late rows, restarts and rescaling.
import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, type Duck, openDuck, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { dedupe, type DedupeParams } from "./dedupe.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const input = schema({ k: string(), id: int53() });
const key = keyLayout(input, ["k"]);

const event = fc.oneof(
  { weight: 12, arbitrary: fc.record({ what: fc.constant("row" as const), key: fc.nat(4), at: fc.integer({ min: -5, max: 25 }) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("time" as const), by: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("restart" as const), parallelism: fc.integer({ min: 1, max: 3 }) }) },
);

interface Arrival {
  readonly k: string;
  readonly id: number;
  readonly timeMs: number;
  readonly watermarkMs: number;
}

function scenario(
  events: readonly (typeof event extends fc.Arbitrary<infer E> ? E : never)[],
  onTime: boolean,
): { steps: Step[]; arrivals: Arrival[] } {
  const steps: Step[] = [];
  const arrivals: Arrival[] = [];
  let watermarkMs = -Infinity;
  let nowMs = 0;
  events.forEach((entry, id) => {
    if (entry.what === "time") {
      nowMs += entry.by;
      watermarkMs = nowMs;
      steps.push({ do: "watermark", timeMs: nowMs });
    } else if (entry.what === "restart") steps.push({ do: "restart", parallelism: entry.parallelism });
    else {
      const timeMs = nowMs + (onTime ? Math.max(1, entry.at) : entry.at);
      arrivals.push({ k: `k${entry.key}`, id, timeMs, watermarkMs });
      steps.push({ do: "rows", input: 0, rows: [{ row: { k: `k${entry.key}`, id }, timeMs }] });
    }
  });
  steps.push({ do: "watermark", timeMs: Number.MAX_SAFE_INTEGER });
  return { steps, arrivals };
}

const events = fc.array(event, { minLength: 5, maxLength: 40, size: "max" });
const run = (params: Omit<DedupeParams, "input" | "key">, steps: readonly Step[], sides: readonly string[] = []): ReturnType<typeof play> =>
  play({ factory: dedupe({ input, key, ...params }), inputs: [input], keys: [key], parallelism: 2 }, steps, sides);

describe("the first row of each key", () => {
  test(`by arrival: the one that came first, at once, and nothing else (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(events, async (made) => {
        const { steps, arrivals } = scenario(made, true);
        const { rows } = await run({ keep: "first" }, steps);
        const seen = new Set<string>();
        const expected = arrivals.filter(({ k }) => !seen.has(k) && seen.add(k)).map(({ id }) => id);
        expect(rows.map(({ row, kind }) => [row["id"], kind])).toEqual(expected.map((id) => [id, "insert"]));
      }),
      { numRuns: 50, seed },
    );
  });

  test(`several rows of a key in one batch count once (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6), { maxLength: 40, size: "max" }), fc.integer({ min: 1, max: 9 }), async (keys, batchRows) => {
        const harness = await OperatorHarness.open({ factory: dedupe({ input, key, keep: "first" }), inputs: [input], batchRows });
        harness.push(keys.map((k, id) => ({ row: { k: `${k}`, id } })));
        expect(harness.take().map(({ row }) => row["k"])).toEqual([...new Set(keys.map(String))]);
        await harness.close();
      }),
      { numRuns: 40, seed },
    );
  });

  test(`by time: the earliest of the rows that were on time, as DuckDB ranks them (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(events, async (made) => {
        const { steps, arrivals } = scenario(made, false);
        const played = await run({ keep: "first", order: "time", late: "late" }, steps, ["late"]);
        const onTime = arrivals.filter((row) => row.timeMs > row.watermarkMs);
        const expected = await duck(
          { a: { columns: { k: "VARCHAR", id: "BIGINT", t: "BIGINT" }, rows: onTime.map(({ k, id, timeMs }) => [k, id, timeMs]) } },
          "SELECT k, id, t FROM a QUALIFY row_number() OVER (PARTITION BY k ORDER BY t, id) = 1",
        );
        // A row that comes when its key's earliest was given out is later than it, as the watermark says.
        expect(bag(played.rows.map(({ row, timeMs }) => ({ ...row, t: timeMs })))).toEqual(bag(expected));
        expect(bag(played.side("late").map(({ row }) => row["id"]))).toEqual(
          bag(arrivals.filter((row) => row.timeMs <= row.watermarkMs).map((row) => row.id)),
        );
      }),
      { numRuns: 50, seed },
    );
  });

  test(`within a time: a duplicate is a row less than that after the one that passed (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 30 }), async (made, withinMs) => {
        const { steps, arrivals } = scenario(made, false);
        const played = await run({ keep: "first", withinMs, late: "late" }, steps, ["late"]);
        const passed = new Map<string, number>();
        const expected: number[] = [];
        for (const { k, id, timeMs, watermarkMs } of arrivals) {
          if (timeMs <= watermarkMs) continue;
          const before = passed.get(k);
          if (before !== undefined && timeMs < before + withinMs) continue;
          passed.set(k, timeMs);
          expected.push(id);
        }
        expect(played.rows.map(({ row }) => row["id"])).toEqual(expected);
      }),
      { numRuns: 50, seed },
    );
  });

  test("a key is forgotten when its time to live is over", async () => {
    const factory = dedupe({ input, key, keep: "first", ttl: { ttlMs: 100, time: "processing", refresh: "write" } });
    const harness = await OperatorHarness.open({ factory, inputs: [input] });
    harness.push([{ row: { k: "a", id: 1 } }]);
    harness.advance(99).push([{ row: { k: "a", id: 2 } }]);
    harness.advance(2).push([{ row: { k: "a", id: 3 } }]);
    expect(harness.take().map(({ row }) => row["id"])).toEqual([1, 3]);
    await harness.close();
  });
});

describe("the last row of each key", () => {
  test(`is a changelog whose table holds it after every step (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.constantFrom("arrival" as const, "time" as const), async (made, order) => {
        const { steps } = scenario(made, false);
        const untimed = steps.filter((step) => step.do !== "watermark");
        const table = new Changelog();
        const last = new Map<string, { id: number; timeMs: number }>();
        await play({ factory: dedupe({ input, key, keep: "last", order }), inputs: [input], keys: [key] }, untimed, [], (rows, index) => {
          table.apply(rows);
          const step = untimed[index];
          if (step?.do === "rows") {
            const { row, timeMs } = step.rows[0] as { row: { k: string; id: number }; timeMs: number };
            const before = last.get(row.k);
            if (order === "arrival" || before === undefined || timeMs >= before.timeMs) last.set(row.k, { id: row.id, timeMs });
          }
          expect(table.rows()).toEqual(bag([...last].map(([k, { id }]) => ({ k, id }))));
        });
      }),
      { numRuns: 50, seed },
    );
  });

  test("gives upserts without the rows before them where that is asked for", async () => {
    const harness = await OperatorHarness.open({ factory: dedupe({ input, key, keep: "last", output: "upsert" }), inputs: [input] });
    harness.push([{ row: { k: "a", id: 1 } }, { row: { k: "b", id: 2 } }, { row: { k: "a", id: 3 } }]);
    expect(harness.take().map(({ row, kind }) => [kind, row["id"]])).toEqual([
      ["insert", 1],
      ["insert", 2],
      ["updateAfter", 3],
    ]);
    await harness.close();
  });
});

test("options that do not go together are refused", () => {
  const refused = (params: Omit<DedupeParams, "input" | "key">): boolean => {
    try {
      dedupe({ input, key, ...params });
      return false;
    } catch (error) {
      return isMillraceError(error, "DEDUPE_INVALID");
    }
  };
  expect(refused({ keep: "last", withinMs: 5 })).toBe(true);
  expect(refused({ keep: "first", withinMs: 0 })).toBe(true);
  expect(refused({ keep: "first", output: "upsert" })).toBe(true);
  expect(refused({ keep: "first", withinMs: 5, ttl: { ttlMs: 1, time: "event", refresh: "write" } })).toBe(true);
  expect(refused({ keep: "first", withinMs: 5 })).toBe(false);
});
