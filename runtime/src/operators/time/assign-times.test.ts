// Event time from fields of every kind and from functions; rows without one are dead letters.
import { expect, test } from "vitest";
import { date, int32, int53, int64, string, timestamp, timestampNanos } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { assignTimes } from "./assign-times.ts";

const at = Date.UTC(2026, 1, 3, 4, 5, 6, 789);
const input = schema({
  ms: timestamp(),
  s: timestamp({ unit: "s" }),
  us: timestamp({ unit: "us" }),
  ns: timestampNanos(),
  day: date(),
  i: int53(),
  big: int64(),
  small: int32(),
  none: timestamp().nullable(),
  text: string(),
});
const row = {
  ms: at,
  s: Math.floor(at / 1000),
  us: at * 1000 + 999,
  ns: BigInt(at) * 1_000_000n + 999_999n,
  day: Math.floor(at / 86_400_000),
  i: at,
  big: BigInt(at),
  small: 5,
  none: null,
  text: "x",
};

test.each([
  ["ms", at],
  ["s", Math.floor(at / 1000) * 1000],
  ["us", at],
  ["ns", at],
  ["day", Date.UTC(2026, 1, 3)],
  ["i", at],
  ["big", at],
  ["small", 5],
])("field %s", async (field, expected) => {
  const harness = await OperatorHarness.open({ factory: assignTimes({ input, field }), inputs: [input] });
  expect(harness.push([{ row, timeMs: 1, kind: "updateAfter" }]).take()).toEqual([{ row, timeMs: expected, kind: "updateAfter" }]);
  await harness.close();
});

test("times before 1970 are cut off downwards, and whole ms of us stay whole", async () => {
  const times = schema({ us: timestamp({ unit: "us" }), ns: timestampNanos() });
  const us = await OperatorHarness.open({ factory: assignTimes({ input: times, field: "us" }), inputs: [times] });
  const wholeMs = Array.from({ length: 2000 }, (_, n) => 1_700_000_000_000 + n);
  us.push([{ row: { us: -1, ns: 0n } }, ...wholeMs.map((ms) => ({ row: { us: ms * 1000, ns: 0n } }))]);
  expect(us.take().map(({ timeMs }) => timeMs)).toEqual([-1, ...wholeMs]);
  const ns = await OperatorHarness.open({ factory: assignTimes({ input: times, field: "ns" }), inputs: [times] });
  ns.push([-1n, -1_000_000n, -1_000_001n, 1_000_000n].map((value) => ({ row: { us: 0, ns: value } })));
  expect(ns.take().map(({ timeMs }) => timeMs)).toEqual([-1, -1, -2, 1]);
  await us.close();
  await ns.close();
});

test("a function, and rows for which there is no time", async () => {
  const fn = (seen: { i: number; none: number | null; small: number }): number => {
    if (seen.small === 1) throw new Error("no time");
    return seen.small === 2 ? Number.NaN : seen.i + 0.9;
  };
  const byFunction = await OperatorHarness.open({ factory: assignTimes({ input, fn }), inputs: [input] });
  byFunction.push([1, 2, 3].map((small) => ({ row: { ...row, small } })));
  expect(byFunction.take().map(({ timeMs }) => timeMs)).toEqual([at]);
  expect(byFunction.badRows.map(({ code }) => code)).toEqual(["FUNCTION_FAILED", "FUNCTION_FAILED"]);
  const byField = await OperatorHarness.open({ factory: assignTimes({ input, field: "none" }), inputs: [input] });
  byField.push([{ row }, { row: { ...row, none: 7 } }]);
  expect(byField.take().map(({ timeMs }) => timeMs)).toEqual([7]);
  expect(byField.badRows).toHaveLength(1);
  await byFunction.close();
  await byField.close();
});

test("a field that is no time is refused by name", async () => {
  await expect(OperatorHarness.open({ factory: assignTimes({ input, field: "text" }), inputs: [input] })).rejects.toMatchObject({
    code: "TIME_FIELD",
    subject: 'field "text"',
  });
});
