// Random streams for window tests: rows out of order and late, watermarks, restarts; and the operators' output in comparable form.
import type { AggregateCalls } from "../../runtime/src/operators/aggregate/call.ts";
import {
  avg,
  collect,
  collectSet,
  count,
  countDistinct,
  first,
  last,
  max,
  maxBy,
  min,
  minBy,
  sum,
} from "../../runtime/src/operators/aggregate/call.ts";
import { decimal, float64, int53, int64, string } from "../../runtime/src/core/schema/field.ts";
import { Decimal } from "../../runtime/src/core/schema/decimal.ts";
import { type Schema, schema } from "../../runtime/src/core/schema/schema.ts";
import type { HarnessGroup } from "../../runtime/src/testing/harness-group.ts";
import type { HarnessRow } from "../../runtime/src/testing/operator-harness.ts";
import type { Random } from "./random.ts";
import type { AlignedSpec, Event, EventRow, Fired, Results } from "./windows.ts";

export const eventSchema: Schema = schema({
  key: int53(),
  keyText: string(),
  v: int53(),
  big: int64(),
  d: decimal(18, 2),
  f: float64(),
  s: string(),
  n: int53().nullable(),
  u: int53(),
});

export const allCalls: AggregateCalls = {
  n: count(),
  nn: count("n"),
  sum: sum("v"),
  sumBig: sum("big"),
  sumD: sum("d"),
  sumF: sum("f"),
  min: min("v"),
  max: max("v"),
  maxBig: max("big"),
  minD: min("d"),
  minS: min("s"),
  maxN: max("n"),
  avg: avg("v"),
  avgN: avg("n"),
  distinct: countDistinct("v"),
  values: collect("v"),
  set: collectSet("v"),
  first: first("u"),
  last: last("u"),
  oldest: minBy("s", "u"),
  newest: maxBy("s", "u"),
};

/** The operator's key: a number, its text, or both. */
export const keyChoices: readonly (readonly string[])[] = [["key"], ["keyText"], ["keyText", "key"]];

export function harnessRow({ row, timeMs, kind }: Event): HarnessRow {
  const { key, v, big, cents, f, s, n, u } = row;
  return { row: { key, keyText: `k${key}`, v, big, d: new Decimal(BigInt(cents), 2), f, s, n, u }, timeMs, kind };
}

export interface Step {
  readonly rows?: readonly Event[];
  readonly watermarkMs?: number;
  /** Snapshot, close, and go on in so many instances. */
  readonly restart?: number;
}

export interface StreamShape {
  readonly keys: number;
  /** How far a row may be behind the latest time. */
  readonly delayMs: number;
  /** Time from one batch to the next. */
  readonly paceMs: number;
  readonly steps: number;
  readonly retractions: boolean;
  readonly restarts: boolean;
}

const texts = ["", "a", "b", "abc", "é", "z".repeat(40)];
let unique = 0;

export function randomRow(random: Random, keys: number): EventRow {
  return {
    key: random.int(0, keys - 1),
    v: random.int(-50, 50),
    big: random.chance(0.3) ? (2n ** 54n + BigInt(random.int(0, 1000))) * (random.chance(0.5) ? 1n : -1n) : BigInt(random.int(-9, 9)),
    cents: random.int(-100_000, 100_000),
    f: random.int(-400, 400) / 4,
    s: random.pick(texts),
    n: random.chance(0.4) ? null : random.int(-5, 5),
    u: unique++,
  };
}

/** Batches of rows around a time that moves on, watermarks that follow it closely enough for some rows to be late. */
export function randomSteps(random: Random, shape: StreamShape): Step[] {
  const steps: Step[] = [];
  const sent: Event[] = [];
  let nowMs = random.int(-100, 100);
  let watermarkMs = -Infinity;
  for (let i = 0; i < shape.steps; i++) {
    const rows: Event[] = [];
    for (let k = random.int(0, 12); k > 0; k--) {
      if (shape.retractions && sent.length > 0 && random.chance(0.3)) {
        const [taken] = sent.splice(random.int(0, sent.length - 1), 1) as [Event];
        rows.push({ ...taken, kind: random.pick(["delete", "updateBefore"] as const) });
        continue;
      }
      const event: Event = {
        row: randomRow(random, shape.keys),
        timeMs: nowMs - (random.chance(0.2) ? random.int(0, shape.delayMs * 2) : random.int(0, shape.delayMs)),
        kind: shape.retractions && random.chance(0.2) ? "updateAfter" : "insert",
      };
      rows.push(event);
      sent.push(event);
    }
    steps.push({ rows });
    nowMs += random.int(0, shape.paceMs);
    if (random.chance(0.6)) {
      watermarkMs = Math.max(watermarkMs, nowMs - random.int(0, shape.delayMs));
      steps.push({ watermarkMs });
    }
    if (shape.restarts && random.chance(0.12)) {
      steps.push({ restart: random.int(1, 3) });
      // A restored run starts from an earlier watermark and works its way up.
      if (random.chance(0.5) && watermarkMs > -Infinity) steps.push({ watermarkMs: watermarkMs - random.int(0, 20) });
    }
  }
  steps.push({ watermarkMs: nowMs + 10_000 });
  return steps;
}

export function randomAligned(random: Random): AlignedSpec {
  const offsetMs = random.chance(0.5) ? 0 : random.int(-7, 7);
  switch (random.int(0, 2)) {
    case 0:
      return { kind: "tumbling", sizeMs: random.int(1, 25), offsetMs };
    case 1:
      return { kind: "sliding", sizeMs: random.int(1, 30), slideMs: random.int(1, 20), offsetMs };
    default: {
      const stepMs = random.int(1, 8);
      return { kind: "cumulate", sizeMs: stepMs * random.int(1, 5), stepMs, offsetMs };
    }
  }
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_name, entry: unknown) => (typeof entry === "bigint" ? `${entry}n` : entry));

/** What the reference expects, as sorted lines of text; a nullable mean is compared to 9 digits. */
export function expectedLines(fired: readonly Fired[]): string[] {
  return fired.map(({ key, start, end, kind, results }) => line(kind, key, start, end, results)).sort();
}

function line(kind: string, key: unknown, start: unknown, end: unknown, results: Partial<Results>): string {
  const round = (value: unknown): unknown => (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(9) : value);
  return canonical([kind, key, start, end, Object.entries(results).map(([name, value]) => [name, round(value)])]);
}

/** What the operator gave, in the same form. Lists are sorted: panes do not keep the order of arrival across them. */
export function actualLines(rows: readonly HarnessRow<Record<string, unknown>>[]): string[] {
  return rows
    .map(({ row, kind, timeMs }) => {
      const { key, keyText, windowStart, windowEnd, ...rest } = row;
      if (windowEnd !== undefined && timeMs !== (windowEnd as number) - 1)
        throw new Error(`a row of the window up to ${String(windowEnd)} has time ${timeMs}`);
      const results = Object.fromEntries(
        Object.entries(rest).map(([name, value]) => [
          name,
          value instanceof Decimal ? value.toString() : Array.isArray(value) ? [...(value as number[])].sort((a, b) => a - b) : value,
        ]),
      );
      return line(kind ?? "insert", key ?? Number((keyText as string).slice(1)), windowStart, windowEnd, results);
    })
    .sort();
}

export interface Reference {
  readonly late: Event[];
  rows(batch: readonly Event[]): Fired[];
  watermark(timeMs: number): Fired[];
}

/** Runs the steps through both and compares after each one; throws with the first difference. */
export async function compareRuns(group: HarnessGroup, reference: Reference, steps: readonly Step[]): Promise<number> {
  let running = group;
  let compared = 0;
  try {
    for (const [at, step] of steps.entries()) {
      let expected: Fired[] = [];
      if (step.rows !== undefined) {
        expected = reference.rows(step.rows);
        running.push(step.rows.map(harnessRow));
      } else if (step.watermarkMs !== undefined) {
        expected = reference.watermark(step.watermarkMs);
        running.watermark(step.watermarkMs);
      } else if (step.restart !== undefined) running = await running.restart(step.restart);
      compareLines(`step ${at}`, actualLines(running.take()), expectedLines(expected));
      const late = running.take<{ u: number }>("late").map(({ row }) => row.u);
      compareLines(
        `late rows at step ${at}`,
        late.map(String).sort(),
        reference.late
          .splice(0)
          .map(({ row }) => String(row.u))
          .sort(),
      );
      compared += expected.length;
    }
  } finally {
    await running.close();
  }
  return compared;
}

export function compareLines(what: string, actual: readonly string[], expected: readonly string[]): void {
  if (actual.length === expected.length && actual.every((entry, i) => entry === expected[i])) return;
  const missing = expected.filter((entry) => !actual.includes(entry));
  const surplus = actual.filter((entry) => !expected.includes(entry));
  throw new Error(
    `${what}: ${actual.length} rows instead of ${expected.length}\nmissing:\n  ${missing.slice(0, 3).join("\n  ")}\nsurplus:\n  ${surplus.slice(0, 3).join("\n  ")}`,
  );
}
