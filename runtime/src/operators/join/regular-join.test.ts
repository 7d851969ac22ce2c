// Regular and foreign-key joins: after every step the output is the join of what the inputs have said, checked by nested loops and by DuckDB.
import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { ChangeKind, HarnessRow } from "../../testing/operator-harness.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, type Duck, openDuck, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { foreignKeyJoin } from "./foreign-key-join.ts";
import { joinFields } from "./join-fields.ts";
import type { JoinType } from "./join-output.ts";
import { regularJoin } from "./regular-join.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

let duck: Duck;
beforeAll(async () => {
  duck = await openDuck();
});

const left = schema({ id: int53(), k: string().nullable(), v: int53() });
const right = schema({ k: string().nullable(), w: int53() });
const leftKey = keyLayout(left, ["k"]);
const rightKey = keyLayout(right, ["k"]);
const types = ["inner", "left", "right", "full", "semi", "anti"] as const;

interface LeftRow {
  readonly id: number;
  readonly k: string | null;
  readonly v: number;
}
interface RightRow {
  readonly k: string | null;
  readonly w: number;
}

const change = fc.record({
  input: fc.nat(1),
  key: fc.nat(3),
  value: fc.nat(2),
  what: fc.constantFrom("insert", "insert", "insert", "remove", "update"),
  pick: fc.nat(1000),
});
const event = fc.oneof({ weight: 12, arbitrary: change }, { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) });

function expectedRows(type: JoinType, lefts: readonly LeftRow[], rights: readonly RightRow[]): unknown[] {
  const matches = (l: LeftRow, r: RightRow): boolean => l.k !== null && l.k === r.k;
  const pair = (l: LeftRow | undefined, r: RightRow | undefined): unknown => ({
    id: l?.id ?? null,
    k: l?.k ?? null,
    v: l?.v ?? null,
    r_k: r?.k ?? null,
    r_w: r?.w ?? null,
  });
  if (type === "semi" || type === "anti") return lefts.filter((l) => rights.some((r) => matches(l, r)) === (type === "semi"));
  return [
    ...lefts.flatMap((l) => rights.filter((r) => matches(l, r)).map((r) => pair(l, r))),
    ...(type === "left" || type === "full" ? lefts.filter((l) => !rights.some((r) => matches(l, r))).map((l) => pair(l, undefined)) : []),
    ...(type === "right" || type === "full" ? rights.filter((r) => !lefts.some((l) => matches(l, r))).map((r) => pair(undefined, r)) : []),
  ];
}

function options(type: JoinType, extra: object = {}): Parameters<typeof play>[0] {
  const { output, fields } = joinFields(left, right, type, { rightPrefix: "r_" });
  const factory = regularJoin({ left, right, leftKey, rightKey, output, select: { kind: "fields", fields }, type, ...extra });
  return { factory, inputs: [left, right], keys: [leftKey, rightKey], parallelism: 2 };
}

describe("rows told apart by their values", () => {
  test(`the output is the join of the inputs after every step (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...types), fc.array(event, { minLength: 5, maxLength: 40, size: "max" }), async (type, events) => {
        const present: [LeftRow[], RightRow[]] = [[], []];
        const steps: Step[] = [];
        const expected: string[][] = [];
        for (const entry of events) {
          if ("restart" in entry) steps.push({ do: "restart", parallelism: entry.restart });
          else {
            const side = present[entry.input] as (LeftRow | RightRow)[];
            const k = entry.key === 3 ? null : `k${entry.key}`;
            const row = entry.input === 0 ? { id: entry.value, k, v: entry.value } : { k, w: entry.value };
            const rows: HarnessRow[] = [];
            if (entry.what !== "insert" && side.length > 0) {
              const [old] = side.splice(entry.pick % side.length, 1);
              rows.push({ row: old, kind: entry.what === "update" ? "updateBefore" : "delete" });
            }
            if (entry.what !== "remove") {
              side.push(row);
              rows.push({ row, kind: entry.what === "update" && rows.length > 0 ? "updateAfter" : "insert" });
            }
            steps.push({ do: "rows", input: entry.input, rows });
          }
          expected.push(bag(expectedRows(type, ...present)));
        }
        const table = new Changelog();
        await play(options(type), steps, [], (rows, step) => {
          table.apply(rows);
          expect(table.rows()).toEqual(expected[step]);
        });
        const columns = { k: "VARCHAR", v: "BIGINT" } as const;
        const sql = await duck(
          { l: { columns, rows: present[0].map(({ k, v }) => [k, v]) }, r: { columns, rows: present[1].map(({ k, w }) => [k, w]) } },
          `SELECT count(*) AS n FROM l ${type} JOIN r ON l.k = r.k`,
        );
        expect(sql).toEqual([{ n: table.rows().length }]);
      }),
      { numRuns: 100, seed },
    );
  });
});

const upsert = fc.record({ input: fc.nat(1), id: fc.nat(4), ref: fc.nat(3), value: fc.nat(2), remove: fc.boolean() });

describe("rows with a primary key", () => {
  const output = joinFields(left, schema({ k: string(), w: int53() }), "left", { rightPrefix: "r_" });
  const right2 = schema({ k: string(), w: int53() });
  const left2 = schema({ id: int53(), k: string(), v: int53() });

  test(`a foreign key follows its row and the row that it refers to (seed ${seed})`, async () => {
    const cases = fc.array(
      fc.oneof({ weight: 12, arbitrary: upsert }, { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) }),
      { minLength: 5, maxLength: 40, size: "max" },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("inner" as const, "left" as const), cases, async (type, events) => {
        const lefts = new Map<number, LeftRow>();
        const rights = new Map<string, RightRow>();
        const steps: Step[] = [];
        const expected: string[][] = [];
        const put = (input: number, before: unknown, after: unknown): void => {
          // The left side retracts; the right one upserts, and its deletes carry nothing but the key.
          const rows: HarnessRow[] = [];
          const kinds: readonly ChangeKind[] =
            after === undefined ? ["delete"] : before === undefined ? ["insert"] : ["updateBefore", "updateAfter"];
          if (kinds.includes("delete") && before !== undefined)
            rows.push({ row: input === 0 ? before : { ...(before as RightRow), w: -1 }, kind: "delete" });
          if (kinds.includes("updateBefore") && input === 0) rows.push({ row: before, kind: "updateBefore" });
          if (after !== undefined) rows.push({ row: after, kind: before === undefined ? "insert" : "updateAfter" });
          steps.push({ do: "rows", input, rows });
        };
        for (const entry of events) {
          if ("restart" in entry) steps.push({ do: "restart", parallelism: entry.restart });
          else if (entry.input === 0) {
            const after = entry.remove ? undefined : { id: entry.id, k: `k${entry.ref}`, v: entry.value };
            put(0, lefts.get(entry.id), after);
            if (after === undefined) lefts.delete(entry.id);
            else lefts.set(entry.id, after);
          } else {
            const key = `k${entry.ref}`;
            const after = entry.remove ? undefined : { k: key, w: entry.value };
            put(1, rights.get(key), after);
            if (after === undefined) rights.delete(key);
            else rights.set(key, after);
          }
          expected.push(bag(expectedRows(type, [...lefts.values()], [...rights.values()])));
        }
        const factory = foreignKeyJoin({
          left: left2,
          right: right2,
          output: output.output,
          select: { kind: "fields", fields: output.fields },
          leftReference: keyLayout(left2, ["k"]),
          leftPrimary: keyLayout(left2, ["id"]),
          rightPrimary: keyLayout(right2, ["k"]),
          type,
        });
        const table = new Changelog();
        await play(
          { factory, inputs: [left2, right2], keys: [keyLayout(left2, ["k"]), keyLayout(right2, ["k"])], parallelism: 2 },
          steps,
          [],
          (rows, step) => {
            table.apply(rows);
            expect(table.rows()).toEqual(expected[step]);
          },
        );
      }),
      { numRuns: 60, seed },
    );
  });
});

test("a row whose time to live is over matches nothing", async () => {
  const { factory, inputs } = options("inner", { rightTtl: { ttlMs: 100, time: "processing", refresh: "write" } });
  const harness = await OperatorHarness.open({ factory, inputs });
  harness.push([{ row: { k: "a", w: 1 } }], 1);
  harness.advance(99).push([{ row: { id: 1, k: "a", v: 1 } }]);
  harness.advance(2).push([{ row: { id: 2, k: "a", v: 2 } }]);
  expect(harness.take().map(({ row }) => row["id"])).toEqual([1]);
  await harness.close();
});

test("a join function gets both rows or null, and a row that it refuses is a dead letter", async () => {
  const output = schema({ text: string() });
  const factory = regularJoin({
    left: schema({ id: int53(), k: string().nullable(), v: int53() }),
    right: schema({ k: string().nullable(), w: int53() }),
    leftKey,
    rightKey,
    output,
    type: "left",
    select: {
      kind: "function",
      fn: (l, r) => {
        if (l?.v === 13) throw new Error("unlucky");
        return { text: `${l?.v}/${r === null ? "none" : r.w}` };
      },
    },
  });
  const harness = await OperatorHarness.open({ factory, inputs: [left, right] });
  harness.push([{ row: { id: 1, k: "a", v: 7 } }, { row: { id: 2, k: "a", v: 13 } }]);
  harness.push([{ row: { k: "a", w: 5 } }], 1);
  expect(harness.take().map(({ row, kind }) => [kind, row["text"]])).toEqual([
    ["insert", "7/none"],
    ["delete", "7/none"],
    ["insert", "7/5"],
  ]);
  expect(harness.badRows.map(({ code, row }) => [code, (row as { left: LeftRow }).left.v])).toEqual([
    ["FUNCTION_FAILED", 13],
    ["FUNCTION_FAILED", 13],
    ["FUNCTION_FAILED", 13],
  ]);
  await harness.close();
});
