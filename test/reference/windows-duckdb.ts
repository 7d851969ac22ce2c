// The same windows by another engine: SQL over all rows of many random cases at once, in DuckDB.
import { DuckDBInstance } from "@duckdb/node-api";
import type { AggregateCalls } from "../../runtime/src/operators/aggregate/call.ts";
import { avg, count, countDistinct, max, maxBy, min, minBy, sum } from "../../runtime/src/operators/aggregate/call.ts";
import type { Event } from "./windows.ts";

export const sqlCalls: AggregateCalls = {
  n: count(),
  nn: count("n"),
  sum: sum("v"),
  sumBig: sum("big"),
  sumD: sum("d"),
  min: min("v"),
  maxD: max("d"),
  maxBig: max("big"),
  minS: min("s"),
  avg: avg("v"),
  sumN: sum("n"),
  distinct: countDistinct("v"),
  oldest: minBy("s", "u"),
  newest: maxBy("s", "u"),
};

const sqlResults = `count(*), count(n), sum(v), sum(big), sum(d), min(v), max(d), max(big), min(s), round(avg(v), 6), sum(n),
  count(DISTINCT v), arg_min(s, u), arg_max(s, u)`;

/** One random case: its rows with the watermark that each one met, and its window. */
export interface SqlCase {
  readonly id: number;
  readonly events: readonly { readonly event: Event; readonly watermarkMs: number }[];
  readonly window:
    | { readonly kind: "tumbling" | "sliding" | "cumulate"; readonly sizeMs: number; readonly everyMs: number; readonly offsetMs: number }
    | { readonly kind: "session"; readonly gapMs: number };
}

/** A result row as text, with null spelled out. */
export function sqlLine(values: readonly unknown[]): string {
  return values
    .map((value) =>
      value === null || value === undefined
        ? "NULL"
        : typeof value === "number" && !Number.isInteger(value)
          ? value.toFixed(6)
          : String(value),
    )
    .join("|");
}

// A row counts for a window of its time that has not ended for the watermark it met.
const aligned = (starts: string, end: string): string => `
  SELECT e.id, e.key, w.start, ${end} AS ending, ${sqlResults}
  FROM events e JOIN cases c USING (id), LATERAL (SELECT unnest(${starts}) AS start) w, LATERAL (SELECT unnest(c.steps) AS step) g
  WHERE e.t >= w.start AND e.t < ${end} AND ${end} - 1 > e.watermark
  GROUP BY ALL`;

const queries: Readonly<Record<string, string>> = {
  tumbling: aligned("range(c.lo + c.shift, c.hi, c.size)", "w.start + c.size"),
  sliding: aligned("range(c.lo + c.shift, c.hi, c.every)", "w.start + c.size"),
  cumulate: aligned("range(c.lo + c.shift, c.hi, c.size)", "w.start + g.step"),
  session: `
    WITH marked AS (
      SELECT e.*, c.size, CASE WHEN e.t - lag(e.t) OVER (PARTITION BY e.id, e.key ORDER BY e.t, e.u) <= c.size THEN 0 ELSE 1 END AS opens
      FROM events e JOIN cases c USING (id)),
    numbered AS (SELECT *, sum(opens) OVER (PARTITION BY id, key ORDER BY t, u ROWS UNBOUNDED PRECEDING) AS session FROM marked)
    SELECT id, key, start, ending, * EXCLUDE (id, key, session, start, ending)
    FROM (SELECT id, key, session, min(t) AS start, max(t) + any_value(size) AS ending, ${sqlResults} FROM numbered GROUP BY id, key, session)`,
};

const literal = (value: unknown): string =>
  value === null ? "NULL" : typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);

/** The results of cases of one kind of window, as sorted lines. */
export async function windowsBySql(kind: string, cases: readonly SqlCase[]): Promise<string[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run(
      "CREATE TABLE events (id INT, t BIGINT, watermark DOUBLE, key BIGINT, v BIGINT, big BIGINT, d DECIMAL(18, 2), s VARCHAR, n BIGINT, u BIGINT)",
    );
    await connection.run('CREATE TABLE cases (id INT, size BIGINT, "every" BIGINT, shift BIGINT, lo BIGINT, hi BIGINT, steps BIGINT[])');
    for (const { id, events, window } of cases) {
      const times = events.map(({ event }) => event.timeMs);
      const size = window.kind === "session" ? window.gapMs : window.sizeMs;
      const every = window.kind === "session" ? 1 : window.everyMs;
      // Starts are tried from well before the first row, at a multiple of everything; an offset is at most 3.
      const lo = (Math.floor(Math.min(...times) / (size * every)) - 6) * size * every;
      const steps = window.kind === "cumulate" ? Array.from({ length: size / every }, (_value, i) => (i + 1) * every) : [0];
      const shift = window.kind === "session" ? 0 : window.offsetMs;
      await connection.run(
        `INSERT INTO cases VALUES (${id}, ${size}, ${every}, ${shift}, ${lo}, ${Math.max(...times) + size + 20}, [${steps.join(",")}])`,
      );
      const rows = events.map(({ event: { row, timeMs }, watermarkMs }) =>
        [id, timeMs, watermarkMs === -Infinity ? -1e15 : watermarkMs, row.key, row.v, row.big, row.cents / 100, row.s, row.n, row.u]
          .map(literal)
          .join(","),
      );
      await connection.run(`INSERT INTO events VALUES ${rows.map((row) => `(${row})`).join(",")}`);
    }
    const reader = await connection.runAndReadAll(queries[kind] as string);
    return reader
      .getRowsJS()
      .map((row) => sqlLine(row.map((value, at) => (at >= 4 && value !== null && [8, 10].includes(at) ? fixed(value) : value))))
      .sort();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

// Decimals come as doubles here; all of them are exact at this size.
function fixed(value: unknown): string {
  return Number(value).toFixed(2);
}
