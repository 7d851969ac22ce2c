// Tables: the latest row per key, streams of changes, rows of one key from several places, and histories, against plain maps.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { enumeration, int53, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type ChangeKind, type HarnessRow, OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { history } from "./history.ts";
import { materialize } from "./materialize.ts";
import { kindNames, toStream } from "./to-stream.ts";
import { toTable, upsertToRetract } from "./to-table.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const input = schema({ k: string(), v: int53() });
const key = keyLayout(input, ["k"]);
const kinds: fc.Arbitrary<ChangeKind> = fc.constantFrom("insert", "updateAfter", "updateAfter", "updateBefore", "delete");
const restart = fc.record({ restart: fc.integer({ min: 1, max: 3 }) });

describe("the latest row", () => {
  const event = fc.oneof(
    { weight: 12, arbitrary: fc.record({ key: fc.nat(3), value: fc.nat(2), at: fc.nat(20), kind: kinds }) },
    { weight: 2, arbitrary: restart },
  );

  test(`upserts become a changelog that retracts what is there, and nothing else (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 40, size: "max" }),
        fc.constantFrom("arrival" as const, "time" as const),
        async (events, order) => {
          const steps: Step[] = events.map((entry) =>
            "restart" in entry
              ? { do: "restart", parallelism: entry.restart }
              : { do: "rows", input: 0, rows: [{ row: { k: `k${entry.key}`, v: entry.value }, timeMs: entry.at, kind: entry.kind }] },
          );
          const latest = new Map<string, { v: number; timeMs: number }>();
          const table = new Changelog();
          await play(
            { factory: upsertToRetract({ input, key, order }), inputs: [input], keys: [key], parallelism: 2 },
            steps,
            [],
            (rows, index) => {
              const entry = events[index];
              if (entry !== undefined && "key" in entry && entry.kind !== "updateBefore") {
                const k = `k${entry.key}`;
                const before = latest.get(k);
                const isOld = order === "time" && before !== undefined && entry.at < before.timeMs;
                if (!isOld && entry.kind === "delete") latest.delete(k);
                else if (!isOld) latest.set(k, { v: entry.value, timeMs: entry.at });
                // What changes nothing is not given out.
                if (!isOld && entry.kind !== "delete" && before?.v === entry.value) expect(rows).toEqual([]);
              }
              table.apply(rows);
              expect(table.rows()).toEqual(bag([...latest].map(([k, { v }]) => ({ k, v }))));
            },
          );
        },
      ),
      { numRuns: 60, seed },
    );
  });

  test("an update's two rows follow each other in one batch, and a predicate may mean deletion", async () => {
    const harness = await OperatorHarness.open({
      factory: toTable({ input, key, isDelete: (row) => row.v < 0 }),
      inputs: [input],
      batchRows: 5000,
    });
    const rows = Array.from({ length: 3000 }, (_, n) => ({ row: { k: `k${n % 7}`, v: n }, timeMs: n }));
    harness.push(rows);
    const given = harness.take();
    expect(given).toHaveLength(7 + 2 * (3000 - 7));
    for (const [at, { kind, row }] of given.entries())
      if (kind === "updateBefore") expect([given[at + 1]?.kind, given[at + 1]?.row["k"]]).toEqual(["updateAfter", row["k"]]);
    harness.push([
      { row: { k: "k1", v: -1 }, timeMs: 1 },
      { row: { k: "k1", v: -1 }, timeMs: 1 },
    ]);
    expect(harness.take()).toEqual([{ row: { k: "k1", v: 2997 }, timeMs: 1, kind: "delete" }]);
    await harness.close();
  });
});

test("a changelog as a stream says what each row is", async () => {
  const output = schema({ v: int53(), op: enumeration(...kindNames) });
  const rows: HarnessRow[] = [
    { row: { k: "a", v: 1 }, timeMs: 1 },
    { row: { k: "a", v: 1 }, timeMs: 2, kind: "updateBefore" },
    { row: { k: "a", v: 2 }, timeMs: 2, kind: "updateAfter" },
    { row: { k: "a", v: 2 }, timeMs: 3, kind: "delete" },
  ];
  const all = await OperatorHarness.open({ factory: toStream({ input, output, kindField: "op" }), inputs: [input] });
  expect(all.push(rows).push(rows.slice(0, 1)).take()).toEqual([
    { row: { v: 1, op: "insert" }, timeMs: 1, kind: "insert" },
    { row: { v: 1, op: "update-before" }, timeMs: 2, kind: "insert" },
    { row: { v: 2, op: "update-after" }, timeMs: 2, kind: "insert" },
    { row: { v: 2, op: "delete" }, timeMs: 3, kind: "insert" },
    { row: { v: 1, op: "insert" }, timeMs: 1, kind: "insert" },
  ]);
  const some = await OperatorHarness.open({
    factory: toStream({ input, output: input, kinds: ["insert", "update-after"] }),
    inputs: [input],
  });
  expect(
    some
      .push(rows)
      .take()
      .map(({ row }) => row["v"]),
  ).toEqual([1, 2]);
  await all.close();
  await some.close();
});

test(`rows of one key from two places, interleaved in any way, end as the table they describe (seed ${seed})`, async () => {
  // Each key's row moves between two places; each place gives its changes in order, the places are not ordered among each other.
  const moves = fc.record({
    values: fc.array(fc.record({ key: fc.nat(1), place: fc.nat(1), value: fc.nat(2) }), { minLength: 1, maxLength: 20, size: "max" }),
    mix: fc.infiniteStream(fc.boolean()),
    restartAt: fc.nat(20),
  });
  await fc.assert(
    fc.asyncProperty(moves, async ({ values, mix, restartAt }) => {
      const places: HarnessRow[][] = [[], []];
      const current = new Map<string, { place: number; v: number }>();
      for (const { key: number, place, value } of values) {
        const k = `k${number}`;
        const before = current.get(k);
        if (before !== undefined) places[before.place]?.push({ row: { k, v: before.v }, kind: "delete" });
        places[place]?.push({ row: { k, v: value }, kind: "insert" });
        current.set(k, { place, v: value });
      }
      const rows: HarnessRow[] = [];
      const [a = [], b = []] = places;
      for (const [i, j] = [{ n: 0 }, { n: 0 }]; i.n < a.length || j.n < b.length; ) {
        const fromA = j.n >= b.length || (i.n < a.length && mix.next().value);
        rows.push((fromA ? a[i.n++] : b[j.n++]) as HarnessRow);
      }
      const steps: Step[] = rows.map((row) => ({ do: "rows", input: 0, rows: [row] }));
      steps.splice(restartAt % (rows.length + 1), 0, { do: "restart", parallelism: 3 });
      const table = new Changelog();
      await play({ factory: materialize({ input, key }), inputs: [input], keys: [key], parallelism: 2 }, steps, [], (given) => {
        table.apply(given);
        expect(new Set(table.rows().map((text) => (JSON.parse(text) as { k: string }).k)).size).toBe(table.rows().length);
      });
      expect(table.rows()).toEqual(bag([...current].map(([k, { v }]) => ({ k, v }))));
    }),
    { numRuns: 60, seed },
  );
});

describe("histories", () => {
  const output = schema({ k: string(), v: int53(), from: timestamp(), to: timestamp().nullable() });
  const event = fc.oneof(
    { weight: 12, arbitrary: fc.record({ key: fc.nat(2), value: fc.nat(3), at: fc.integer({ min: -30, max: 30 }), kind: kinds }) },
    { weight: 2, arbitrary: fc.record({ by: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 2, arbitrary: restart },
  );

  test(`each change ends the version before it, in whatever order they come (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 40, size: "max" }),
        fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
        async (events, retentionMs) => {
          const changes: { k: string; v: number; timeMs: number; deleted: boolean }[] = [];
          let watermarkMs = -Infinity;
          let nowMs = 0;
          let late = 0;
          const expected: string[][] = [];
          const steps = events.map((entry): Step => {
            let step: Step;
            if ("restart" in entry) step = { do: "restart", parallelism: entry.restart };
            else if ("by" in entry) {
              nowMs += entry.by;
              watermarkMs = nowMs;
              step = { do: "watermark", timeMs: nowMs };
            } else {
              const timeMs = nowMs + entry.at;
              const change = { k: `k${entry.key}`, v: entry.value, timeMs, deleted: entry.kind === "delete" };
              if (entry.kind !== "updateBefore") {
                if (retentionMs !== undefined && timeMs <= watermarkMs - retentionMs) late++;
                else {
                  const same = changes.findIndex((other) => other.k === change.k && other.timeMs === timeMs);
                  if (same >= 0) changes.splice(same, 1);
                  changes.push(change);
                }
              }
              step = { do: "rows", input: 0, rows: [{ row: { k: change.k, v: change.v }, timeMs, kind: entry.kind }] };
            }
            expected.push(
              bag(
                changes.flatMap(({ k, v, timeMs, deleted }) => {
                  const next = Math.min(...changes.filter((other) => other.k === k && other.timeMs > timeMs).map((other) => other.timeMs));
                  return deleted ? [] : [{ k, v, from: timeMs, to: next === Infinity ? null : next }];
                }),
              ),
            );
            return step;
          });
          const factory = history({
            input,
            key,
            output,
            validFrom: "from",
            validTo: "to",
            late: "late",
            ...(retentionMs === undefined ? {} : { retentionMs }),
          });
          const table = new Changelog();
          // Changes behind the watermark change the past, so rows of the past come out: times are not compared with watermarks here.
          const options = { factory, inputs: [input], keys: [key], parallelism: 2 };
          const played = await play(
            options,
            steps,
            ["late"],
            (rows, step) => {
              table.apply(rows);
              expect(table.rows()).toEqual(expected[step]);
            },
            { anyTime: true },
          );
          expect(played.side("late")).toHaveLength(late);
        },
      ),
      { numRuns: 60, seed },
    );
  });
});
