// Temporal joins against DuckDB's ASOF join, with late rows, deletions, restarts and rescaling; lookup joins against a map.
import fc from "fast-check";
import { beforeAll, expect, test, vi } from "vitest";
import { bag, type Duck, openDuck, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { joinFields } from "./join-fields.ts";
import { lookupJoin } from "./lookup-join.ts";
import { left, leftKey, right, rightKey } from "../../../../test/reference/join-scenarios.ts";
import { temporalJoin } from "./temporal-join.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("row" as const), key: fc.nat(3), at: fc.integer({ min: -4, max: 30 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("change" as const),
      key: fc.nat(2),
      at: fc.integer({ min: -8, max: 30 }),
      kind: fc.constantFrom("insert" as const, "updateAfter" as const, "updateAfter" as const, "updateBefore" as const, "delete" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("time" as const), by: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("restart" as const), parallelism: fc.integer({ min: 1, max: 3 }) }) },
);

interface Row {
  readonly k: string | null;
  readonly id: number;
  readonly timeMs: number;
  readonly watermarkMs: number;
  readonly kind: "insert" | "updateBefore" | "updateAfter" | "delete";
  readonly late: boolean;
}

interface Scenario {
  readonly steps: readonly Step[];
  readonly stream: readonly Row[];
  readonly table: readonly Row[];
}

/** `lateChanges`: changes of the table, but not deletions, may be behind the watermark. */
function scenarios(lateChanges: boolean): fc.Arbitrary<Scenario> {
  return fc.array(event, { minLength: 5, maxLength: 40, size: "max" }).map((events) => {
    const steps: Step[] = [];
    const stream: Row[] = [];
    const table: Row[] = [];
    let watermarkMs = -Infinity;
    let nowMs = 0;
    events.forEach((entry, id) => {
      if (entry.what === "time") {
        nowMs += entry.by;
        watermarkMs = nowMs;
        steps.push({ do: "watermark", timeMs: nowMs });
      } else if (entry.what === "restart") steps.push({ do: "restart", parallelism: entry.parallelism });
      else {
        const mayBeLate = entry.what === "row" || (lateChanges && entry.kind !== "delete");
        const timeMs = nowMs + (mayBeLate ? entry.at : Math.max(1, entry.at));
        const k = entry.key === 3 ? null : `k${entry.key}`;
        const kind = entry.what === "row" ? "insert" : entry.kind;
        const row = { k, id, timeMs, watermarkMs, kind, late: timeMs <= watermarkMs };
        (entry.what === "row" ? stream : table).push(row);
        const input = entry.what === "row" ? 0 : 1;
        steps.push({ do: "rows", input, rows: [{ row: input === 0 ? { k, v: id } : { k, w: id }, timeMs, kind }] });
      }
    });
    steps.push({ do: "watermark", timeMs: Number.MAX_SAFE_INTEGER });
    return { steps, stream, table };
  });
}

const types = fc.constantFrom("inner" as const, "left" as const);

async function run(type: "inner" | "left", steps: readonly Step[]): ReturnType<typeof play> {
  const { output, fields } = joinFields(left, right, type, { rightPrefix: "r_" });
  const factory = temporalJoin({ left, right, leftKey, rightKey, output, select: { kind: "fields", fields }, type, lateLeft: "late" });
  return play({ factory, inputs: [left, right], keys: [leftKey, rightKey], parallelism: 2 }, steps, ["late"]);
}

test(`each row meets the version valid at its time, whichever came first (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(types, scenarios(false), async (type, { steps, stream, table }) => {
      const played = await run(type, steps);
      const columns = { k: "VARCHAR", id: "BIGINT", t: "BIGINT" } as const;
      const rowsOf = (rows: readonly Row[]): (string | number | null)[][] => rows.map(({ k, id, timeMs }) => [k, id, timeMs]);
      const expected = await duck(
        {
          l: { columns, rows: rowsOf(stream.filter((row) => !row.late)) },
          v: {
            columns: { ...columns, gone: "BIGINT" },
            rows: table
              .filter((row) => row.kind !== "updateBefore")
              .map(({ k, id, timeMs, kind }) => [k, id, timeMs, kind === "delete" ? 1 : 0]),
          },
        },
        `WITH versions AS (SELECT k, t, arg_max(id, id) AS id, arg_max(gone, id) AS gone FROM v GROUP BY k, t),
              found AS (SELECT l.id AS v, l.t AS t, CASE WHEN r.gone = 0 THEN r.id END AS w FROM l ASOF LEFT JOIN versions r ON l.k = r.k AND l.t >= r.t)
         SELECT v, w, t FROM found ${type === "inner" ? "WHERE w IS NOT NULL" : ""}`,
      );
      expect(bag(played.rows.map(({ row, timeMs }) => ({ v: row["v"], w: row["r_w"] ?? null, t: timeMs })))).toEqual(bag(expected));
      expect(bag(played.side("late").map(({ row }) => row["v"]))).toEqual(bag(stream.filter((row) => row.late).map((row) => row.id)));
    }),
    { numRuns: 80, seed },
  );
});

test(`a change behind the watermark counts for the rows that are given out after it (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(types, scenarios(true), async (type, { steps, stream, table }) => {
      const played = await run(type, steps);
      // When a row at t is given out: at the first watermark at or after t. It sees what had come by then.
      const watermarks = steps.flatMap((step) => (step.do === "watermark" ? [step.timeMs] : []));
      const expected = stream
        .filter((row) => !row.late)
        .map((row) => {
          const givenAtMs = watermarks.find((timeMs) => timeMs >= row.timeMs) as number;
          const had = table.filter(
            (change) => change.k !== null && change.k === row.k && change.kind !== "updateBefore" && change.watermarkMs < givenAtMs,
          );
          const versions = had.filter((change) => change.timeMs <= row.timeMs && !isForgotten(change, had, watermarks, givenAtMs));
          const valid = versions.toSorted((a, b) => a.timeMs - b.timeMs || a.id - b.id).at(-1);
          return { v: row.id, w: valid === undefined || valid.kind === "delete" ? null : valid.id };
        })
        .filter((row) => type === "left" || row.w !== null);
      expect(bag(played.rows.map(({ row }) => ({ v: row["v"], w: row["r_w"] ?? null })))).toEqual(bag(expected));
    }),
    { numRuns: 60, seed },
  );
});

// A deletion that the watermark has passed is forgotten, and with it what it ended: a change that comes later still, and is older
// than it, counts as if the deletion had not been.
function isForgotten(change: Row, had: readonly Row[], watermarks: readonly number[], givenAtMs: number): boolean {
  return watermarks.some((timeMs) => {
    if (timeMs >= givenAtMs || change.watermarkMs >= timeMs) return false;
    const known = had.filter((other) => other.watermarkMs < timeMs);
    return known.some((deletion) => {
      const isLast = !known.some((other) => other.timeMs === deletion.timeMs && other.id > deletion.id);
      const isPassed = watermarks.find((other) => other >= deletion.timeMs && other > deletion.watermarkMs) === timeMs;
      return deletion.kind === "delete" && isLast && isPassed && change.timeMs <= deletion.timeMs;
    });
  });
}

test(`a lookup meets the row that is there when it comes (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(types, scenarios(true), async (type, { steps }) => {
      const { output, fields } = joinFields(left, right, type, { rightPrefix: "r_" });
      const factory = lookupJoin({ left, right, leftKey, rightKey, output, select: { kind: "fields", fields }, type });
      const { rows } = await play(
        { factory, inputs: [left, right], keys: [leftKey, rightKey], parallelism: 2 },
        steps.filter((step) => step.do !== "watermark"),
      );
      const table = new Map<string | null, number>();
      const expected: unknown[] = [];
      for (const step of steps) {
        if (step.do !== "rows") continue;
        const { row, kind } = step.rows[0] as { row: { k: string | null; v: number; w: number }; kind: string };
        if (step.input === 0) {
          const w = row.k === null ? undefined : table.get(row.k);
          if (w !== undefined || type === "left") expected.push({ v: row.v, w: w ?? null });
        } else if (kind === "delete") table.delete(row.k);
        else if (kind !== "updateBefore") table.set(row.k, row.w);
      }
      expect(rows.map(({ row }) => ({ v: row["v"], w: row["r_w"] ?? null }))).toEqual(expected);
    }),
    { numRuns: 40, seed },
  );
});
