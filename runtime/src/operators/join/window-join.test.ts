// Window joins against DuckDB (tumbling, sliding) and against sessions computed from scratch, with late rows, restarts and rescaling.
import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { bag, type Duck, openDuck, play, seed } from "../../../../test/reference/operator-scenarios.ts";
import { joinFields } from "./join-fields.ts";
import type { JoinType } from "./join-output.ts";
import {
  type Arrival,
  duckColumns,
  duckRows,
  left,
  leftKey,
  right,
  rightKey,
  scenario,
} from "../../../../test/reference/join-scenarios.ts";
import { type JoinWindows, windowJoin } from "./window-join.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const types = ["inner", "left", "right", "full", "semi", "anti"] as const;

function run(type: JoinType, windows: JoinWindows, graceMs: number, steps: Parameters<typeof play>[1]): ReturnType<typeof play> {
  const { output, fields } = joinFields(left, right, type, { rightPrefix: "r_", window: { start: "s", end: "e" } });
  const factory = windowJoin({
    left,
    right,
    leftKey,
    rightKey,
    output,
    select: { kind: "fields", fields },
    type,
    windows,
    graceMs,
    lateLeft: "late-left",
    lateRight: "late-right",
  });
  return play({ factory, inputs: [left, right], keys: [leftKey, rightKey], parallelism: 2 }, steps, ["late-left", "late-right"]);
}

const clauses: Readonly<Record<JoinType, string>> = {
  inner: "l.id AS v, r.id AS w, coalesce(l.s, r.s) AS s FROM lw l JOIN rw r ON l.k = r.k AND l.s = r.s",
  left: "l.id AS v, r.id AS w, coalesce(l.s, r.s) AS s FROM lw l LEFT JOIN rw r ON l.k = r.k AND l.s = r.s",
  right: "l.id AS v, r.id AS w, coalesce(l.s, r.s) AS s FROM lw l RIGHT JOIN rw r ON l.k = r.k AND l.s = r.s",
  full: "l.id AS v, r.id AS w, coalesce(l.s, r.s) AS s FROM lw l FULL JOIN rw r ON l.k = r.k AND l.s = r.s",
  semi: "l.id AS v, NULL AS w, l.s AS s FROM lw l SEMI JOIN rw r ON l.k = r.k AND l.s = r.s",
  anti: "l.id AS v, NULL AS w, l.s AS s FROM lw l ANTI JOIN rw r ON l.k = r.k AND l.s = r.s",
};

function paneSql(type: JoinType, size: number, slide: number, offset: number, grace: number): string {
  const windowed = (table: string): string => `
    SELECT * FROM (
      SELECT *, unnest(range(CAST(floor((t - ${offset} - ${size}) / ${slide}) AS BIGINT) - 1, CAST(floor((t - ${offset}) / ${slide}) AS BIGINT) + 2)) * ${slide} + ${offset} AS s
      FROM ${table})
    WHERE s <= t AND t < s + ${size} AND s + ${size} - 1 + ${grace} > wm`;
  return `WITH lw AS (${windowed("l")}), rw AS (${windowed("r")}) SELECT ${clauses[type]}`;
}

describe("tumbling and sliding windows", () => {
  test(`give what DuckDB computes from the rows that were on time (seed ${seed})`, async () => {
    const cases = fc.record({
      type: fc.constantFrom(...types),
      size: fc.integer({ min: 1, max: 20 }),
      slide: fc.option(fc.integer({ min: 1, max: 25 }), { nil: undefined }),
      offset: fc.integer({ min: -5, max: 5 }),
      grace: fc.constantFrom(0, 0, 7),
      scenario,
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ type, size, slide, offset, grace, scenario: { steps, arrivals } }) => {
        const windows: JoinWindows =
          slide === undefined
            ? { kind: "tumbling", sizeMs: size, offsetMs: offset }
            : { kind: "sliding", sizeMs: size, slideMs: slide, offsetMs: offset };
        const played = await run(type, windows, grace, steps);
        const expected = await duck(
          { l: { columns: duckColumns, rows: duckRows(arrivals, 0) }, r: { columns: duckColumns, rows: duckRows(arrivals, 1) } },
          paneSql(type, size, slide ?? size, offset, grace),
        );
        const given = played.rows.map(({ row }) => ({ v: row["v"] ?? null, w: row["r_w"] ?? null, s: row["s"] }));
        expect(bag(given)).toEqual(bag(expected));
        for (const { row, timeMs } of played.rows)
          expect([row["e"], timeMs]).toEqual([(row["s"] as number) + size, (row["s"] as number) + size - 1]);
        // A row is late when it lies in a window and all of its windows had closed.
        const late = arrivals.filter(({ timeMs, watermarkMs }) => {
          const step = slide ?? size;
          const last = Math.floor((timeMs - offset) / step) * step + offset;
          return timeMs - last < size && last + size - 1 + grace <= watermarkMs;
        });
        expect(bag([...played.side("late-left"), ...played.side("late-right")].map(({ row }) => row["v"] ?? row["w"]))).toEqual(
          bag(late.map((row) => row.id)),
        );
      }),
      { numRuns: 80, seed },
    );
  });
});

interface Session {
  readonly rows: readonly Arrival[];
  readonly first: number;
  readonly last: number;
}

// Islands of rows no further apart than the gap, from nothing but the rows.
function sessionsOf(rows: readonly Arrival[], gap: number): Session[] {
  const sessions: Session[] = [];
  for (const row of rows.toSorted((a, b) => a.timeMs - b.timeMs)) {
    const open = sessions.at(-1);
    if (open !== undefined && row.timeMs - open.last <= gap)
      sessions[sessions.length - 1] = { rows: [...open.rows, row], first: open.first, last: row.timeMs };
    else sessions.push({ rows: [row], first: row.timeMs, last: row.timeMs });
  }
  return sessions;
}

function expectedSessions(arrivals: readonly Arrival[], gap: number, grace: number, type: JoinType): { given: unknown[]; late: number[] } {
  const given: unknown[] = [];
  const late: number[] = [];
  for (const key of new Set(arrivals.map((row) => row.k))) {
    let kept: Arrival[] = [];
    const closeUpTo = (watermarkMs: number): void => {
      for (const session of sessionsOf(kept, gap)) {
        if (session.last + gap - 1 + grace > watermarkMs) continue;
        kept = kept.filter((row) => !session.rows.includes(row));
        given.push(...joined(session, gap, type, key === null));
      }
    };
    for (const row of arrivals.filter((arrival) => arrival.k === key)) {
      closeUpTo(row.watermarkMs);
      const session = sessionsOf([...kept, row], gap).find(({ rows }) => rows.includes(row)) as Session;
      if (session.last + gap - 1 + grace <= row.watermarkMs) late.push(row.id);
      else if (key !== null || (row.input === 0 ? ["left", "full", "anti"] : ["right", "full"]).includes(type)) kept.push(row);
    }
    closeUpTo(Infinity);
  }
  return { given, late };
}

function joined({ rows, first, last }: Session, gap: number, type: JoinType, isNull: boolean): unknown[] {
  const of = (input: number): number[] => rows.filter((row) => row.input === input).map((row) => row.id);
  const [l, r] = [of(0), of(1)];
  const window = { s: first, e: last + gap };
  const matched = l.length > 0 && r.length > 0 && !isNull;
  const alone = (ids: readonly number[], side: "v" | "w"): unknown[] => ids.map((id) => ({ v: null, w: null, [side]: id, ...window }));
  if (type === "semi") return matched ? alone(l, "v") : [];
  if (type === "anti") return matched ? [] : alone(l, "v");
  if (matched) return l.flatMap((v) => r.map((w) => ({ v, w, ...window })));
  return [...(type === "left" || type === "full" ? alone(l, "v") : []), ...(type === "right" || type === "full" ? alone(r, "w") : [])];
}

describe("session windows", () => {
  test(`give the sessions of the rows that were on time (seed ${seed})`, async () => {
    const cases = fc.record({
      type: fc.constantFrom(...types),
      gap: fc.integer({ min: 1, max: 12 }),
      grace: fc.constantFrom(0, 0, 5),
      scenario,
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ type, gap, grace, scenario: { steps, arrivals } }) => {
        const played = await run(type, { kind: "session", gapMs: gap }, grace, steps);
        const { given, late } = expectedSessions(arrivals, gap, grace, type);
        expect(bag(played.rows.map(({ row }) => ({ v: row["v"] ?? null, w: row["r_w"] ?? null, s: row["s"], e: row["e"] })))).toEqual(
          bag(given),
        );
        const lateGiven = [...played.side("late-left"), ...played.side("late-right")].map(({ row }) => row["v"] ?? row["w"]);
        // A row with a null key that its side would not give out is dropped before its time matters.
        const lateIds = late.filter(
          (id) => arrivals[id]?.k !== null || (arrivals[id]?.input === 0 ? ["left", "full", "anti"] : ["right", "full"]).includes(type),
        );
        expect(bag(lateGiven)).toEqual(bag(lateIds));
      }),
      { numRuns: 80, seed },
    );
  });
});

test("sizes that cannot be and keys that cannot be compared are refused by name", () => {
  const { output, fields } = joinFields(left, right, "inner", { rightPrefix: "r_" });
  const base = { left, right, leftKey, rightKey, output, select: { kind: "fields", fields }, type: "inner" } as const;
  const code = (make: () => unknown): string => {
    try {
      make();
      return "none";
    } catch (error) {
      return isMillraceError(error) ? error.code : String(error);
    }
  };
  expect(code(() => windowJoin({ ...base, windows: { kind: "tumbling", sizeMs: 0 } }))).toBe("WINDOW_INVALID");
  expect(code(() => windowJoin({ ...base, windows: { kind: "sliding", sizeMs: 5, slideMs: 1.5 } }))).toBe("WINDOW_INVALID");
  expect(code(() => windowJoin({ ...base, windows: { kind: "session", gapMs: -1 } }))).toBe("WINDOW_INVALID");
  const otherKey = { ...rightKey, schema: right.pick(["w"]) };
  expect(code(() => windowJoin({ ...base, rightKey: otherKey, windows: { kind: "tumbling", sizeMs: 5 } }))).toBe("JOIN_KEY_MISMATCH");
});
