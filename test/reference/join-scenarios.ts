// Random scenarios for the tests of joins: rows of two inputs out of order, watermarks, restarts.
import fc from "fast-check";
import { float64, int53, string } from "../../runtime/src/core/schema/field.ts";
import { keyLayout, type KeyLayout } from "../../runtime/src/core/keys/key-layout.ts";
import { schema, type Schema } from "../../runtime/src/core/schema/schema.ts";
import type { Step } from "./operator-scenarios.ts";

export const left: Schema = schema({ k: string().nullable(), v: int53() });
export const right: Schema = schema({ k: string().nullable(), w: float64() });
export const leftKey: KeyLayout = keyLayout(left, ["k"]);
export const rightKey: KeyLayout = keyLayout(right, ["k"]);

/** A row with the watermark that stood when it came. `id` numbers the rows of a scenario. */
export interface Arrival {
  readonly input: number;
  readonly k: string | null;
  readonly id: number;
  readonly timeMs: number;
  readonly watermarkMs: number;
}

export interface Scenario {
  readonly steps: readonly Step[];
  readonly arrivals: readonly Arrival[];
}

const event = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constant("row" as const),
      input: fc.nat(1),
      key: fc.nat(4),
      behind: fc.oneof(fc.integer({ min: -1, max: 3 }), fc.integer({ min: -6, max: 30 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("time" as const), by: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("restart" as const), parallelism: fc.integer({ min: 1, max: 3 }) }) },
);

/** Time goes on with the watermark; rows are up to 6 ms behind it, which is late, and up to 30 ms ahead. Ends at the end of time. */
export const scenario: fc.Arbitrary<Scenario> = fc.array(event, { minLength: 5, maxLength: 40, size: "max" }).map((events) => {
  const steps: Step[] = [];
  const arrivals: Arrival[] = [];
  let watermarkMs = -Infinity;
  let nowMs = 0;
  for (const entry of events) {
    if (entry.what === "time") {
      nowMs += entry.by;
      watermarkMs = nowMs;
      steps.push({ do: "watermark", timeMs: nowMs });
    } else if (entry.what === "restart") steps.push({ do: "restart", parallelism: entry.parallelism });
    else {
      const { input } = entry;
      const k = entry.key === 4 ? null : `k${entry.key}`;
      const id = arrivals.length;
      const timeMs = nowMs + entry.behind;
      arrivals.push({ input, k, id, timeMs, watermarkMs });
      steps.push({ do: "rows", input, rows: [{ row: input === 0 ? { k, v: id } : { k, w: id }, timeMs }] });
    }
  }
  steps.push({ do: "watermark", timeMs: Number.MAX_SAFE_INTEGER });
  return { steps, arrivals };
});

/** The arrivals of one input as rows for DuckDB: key, id, time, and the watermark when it came. */
export function duckRows(arrivals: readonly Arrival[], input: number): (string | number | null)[][] {
  return arrivals
    .filter((row) => row.input === input)
    .map(({ k, id, timeMs, watermarkMs }) => [k, id, timeMs, Math.max(watermarkMs, -1_000_000)]);
}

export const duckColumns = { k: "VARCHAR", id: "BIGINT", t: "BIGINT", wm: "BIGINT" } as const;
