// topN after every step against sorting what is there, for all kinds of input; windowed topN against DuckDB.
import fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { float64, int53, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type HarnessRow, OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, type Duck, openDuck, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { topN } from "./top-n.ts";
import { windowTopN } from "./window-top-n.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const input = schema({ k: string(), id: int53(), score: float64().nullable() });
const ranked = schema({ k: string(), id: int53(), score: float64().nullable(), rank: int53() });
const key = keyLayout(input, ["k"]);

interface Row {
  readonly k: string;
  readonly id: number;
  readonly score: number | null;
}

const change = fc.record({
  key: fc.nat(1),
  id: fc.nat(5),
  score: fc.option(fc.integer({ min: 0, max: 4 }), { nil: null }),
  what: fc.constantFrom("insert", "insert", "insert", "remove", "update"),
  pick: fc.nat(1000),
});
const event = fc.oneof({ weight: 12, arbitrary: change }, { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) });
const sizes = fc.record({
  limit: fc.integer({ min: 1, max: 4 }),
  offset: fc.integer({ min: 0, max: 3 }),
  descending: fc.boolean(),
  withRank: fc.boolean(),
});

// PostgreSQL's order: null counts as the greatest value. The sort is stable, so equal rows stay in the order of arrival.
function inSight(
  present: readonly Row[],
  { limit, offset, descending, withRank }: { limit: number; offset: number; descending: boolean; withRank: boolean },
): unknown[] {
  return ["k0", "k1"].flatMap((k) =>
    present
      .filter((row) => row.k === k)
      .toSorted((a, b) =>
        (a.score ?? Infinity) === (b.score ?? Infinity) ? 0 : (a.score ?? Infinity) < (b.score ?? Infinity) !== descending ? -1 : 1,
      )
      .slice(offset, offset + limit)
      .map((row, place) => (withRank ? { ...row, rank: offset + place + 1 } : row)),
  );
}

for (const mode of ["append", "retract", "upsert"] as const) {
  test(`${mode}: the output's table is the first rows of what is there, after every step (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40, size: "max" }), sizes, async (events, size) => {
        let present: Row[] = [];
        const steps: Step[] = [];
        const expected: string[][] = [];
        for (const entry of events) {
          if ("restart" in entry) steps.push({ do: "restart", parallelism: entry.restart });
          else {
            const row = { k: `k${entry.key}`, id: entry.id, score: entry.score };
            const rows: HarnessRow[] = [];
            if (mode === "append") {
              present.push(row);
              rows.push({ row });
            } else if (mode === "retract") {
              const old = entry.what === "insert" ? undefined : present[entry.pick % Math.max(1, present.length)];
              if (old !== undefined) {
                // Of equal rows the last to come goes.
                present.splice(
                  present.findLastIndex((other) => bag([other])[0] === bag([old])[0]),
                  1,
                );
                rows.push({ row: old, kind: entry.what === "update" ? "updateBefore" : "delete" });
              }
              if (entry.what !== "remove") {
                present.push(row);
                rows.push({ row, kind: rows.length > 0 && entry.what === "update" ? "updateAfter" : "insert" });
              }
            } else {
              const old = present.find((other) => other.k === row.k && other.id === row.id);
              const same = old !== undefined && old.score === row.score && entry.what !== "remove";
              if (!same) present = present.filter((other) => other !== old);
              if (entry.what !== "remove" && !same) present.push(row);
              rows.push({ row, kind: entry.what === "remove" ? "delete" : "updateAfter" });
            }
            steps.push({ do: "rows", input: 0, rows });
          }
          expected.push(bag(inSight(present, size)));
        }
        const factory = topN({
          input,
          output: size.withRank ? ranked : input,
          key,
          order: [{ field: "score", descending: size.descending }],
          limit: size.limit,
          offset: size.offset,
          changelog: mode,
          ...(size.withRank ? { rank: "rank" } : {}),
          ...(mode === "upsert" ? { unique: keyLayout(input, ["id"]) } : {}),
        });
        const table = new Changelog();
        await play({ factory, inputs: [input], keys: [key], parallelism: 2 }, steps, [], (rows, step) => {
          table.apply(rows);
          expect(table.rows()).toEqual(expected[step]);
        });
      }),
      { numRuns: 70, seed },
    );
  });
}

test("an append-only input keeps no more rows than can be seen", async () => {
  let size = (): number => -1;
  const factory = topN({ input, output: input, key, order: [{ field: "score" }], limit: 3, offset: 2 });
  const harness = await OperatorHarness.open({
    factory: (context) =>
      factory({
        ...context,
        keyed: {
          table: (spec) => context.keyed.table(spec),
          timers: (...made) => context.keyed.timers(...made),
          multiTable(spec) {
            const table = context.keyed.multiTable(spec);
            size = () => table.size;
            return table;
          },
        },
      }),
    inputs: [input],
  });
  for (let id = 0; id < 200; id++) harness.push([{ row: { k: `k${id % 2}`, id, score: (id * 37) % 101 } }]);
  expect(size()).toBe(10);
  await harness.close();
});

const windowed = schema({ k: string(), id: int53(), score: float64(), end: timestamp() });
const windowedOut = schema({ k: string(), id: int53(), score: float64(), end: timestamp(), rank: int53() });
const windowKey = keyLayout(windowed, ["k"]);
const windowEvent = fc.oneof(
  { weight: 12, arbitrary: fc.record({ key: fc.nat(2), score: fc.nat(4), windows: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ by: fc.integer({ min: 1, max: 15 }) }) },
  { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) },
);

test(`windows: the first rows of each window, once, as DuckDB ranks them (seed ${seed})`, async () => {
  const cases = fc.record({
    events: fc.array(windowEvent, { minLength: 5, maxLength: 40, size: "max" }),
    limit: fc.integer({ min: 1, max: 4 }),
    offset: fc.integer({ min: 0, max: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ events, limit, offset }) => {
      const steps: Step[] = [];
      const arrivals: (readonly [string, number, number, number, number])[] = [];
      let nowMs = 0;
      events.forEach((entry, id) => {
        if ("by" in entry) {
          nowMs += entry.by;
          steps.push({ do: "watermark", timeMs: nowMs });
        } else if ("restart" in entry) steps.push({ do: "restart", parallelism: entry.restart });
        else {
          const end = (Math.floor(nowMs / 10) + entry.windows) * 10;
          arrivals.push([`k${entry.key}`, id, entry.score, end, nowMs === 0 ? -1000 : nowMs]);
          steps.push({ do: "rows", input: 0, rows: [{ row: { k: `k${entry.key}`, id, score: entry.score, end }, timeMs: end - 1 }] });
        }
      });
      steps.push({ do: "watermark", timeMs: Number.MAX_SAFE_INTEGER });
      const factory = windowTopN({
        input: windowed,
        output: windowedOut,
        key: windowKey,
        windowEnd: "end",
        order: [{ field: "score", descending: true }],
        limit,
        offset,
        rank: "rank",
        late: "late",
      });
      const played = await play({ factory, inputs: [windowed], keys: [windowKey], parallelism: 2 }, steps, ["late"]);
      const expected = await duck(
        { a: { columns: { k: "VARCHAR", id: "BIGINT", score: "DOUBLE", e: "BIGINT", wm: "BIGINT" }, rows: arrivals } },
        `SELECT k, id, score, e AS "end", row_number() OVER (PARTITION BY k, e ORDER BY score DESC, id) AS rank FROM a
         WHERE e - 1 > wm QUALIFY rank BETWEEN ${offset + 1} AND ${offset + limit}`,
      );
      expect(bag(played.rows.map(({ row }) => row))).toEqual(bag(expected));
      for (const { row, timeMs } of played.rows) expect(timeMs).toBe((row["end"] as number) - 1);
      expect(bag(played.side("late").map(({ row }) => row["id"]))).toEqual(
        bag(arrivals.filter(([, , , e, wm]) => e - 1 <= wm).map(([, id]) => id)),
      );
    }),
    { numRuns: 60, seed },
  );
});
