// Running aggregates against an independent computation: changelogs in and out, restarts at other parallelism, partial results, time to live.
import { describe, expect, test, vi } from "vitest";
import { casesOf, randomCases } from "../../../../test/reference/random.ts";
import {
  actualLines,
  allCalls,
  compareLines,
  eventSchema,
  expectedLines,
  harnessRow,
  keyChoices,
  randomSteps,
} from "../../../../test/reference/windows-cases.ts";
import { aggregate, apply, type Event, type Fired, type Timed } from "../../../../test/reference/windows.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { localAggregate, localAggregateSchema } from "../window/local-aggregate.ts";
import { count, max, sum } from "./call.ts";
import { groupAggregate } from "./group-aggregate.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const { values, set, ...scalarCalls } = allCalls;
const text = (value: unknown): string =>
  JSON.stringify(value, (_name, entry: unknown) => (typeof entry === "bigint" ? `${entry}n` : entry));

/** All rows of each key, and what a batch of events changes about their results. */
class ReferenceGroups {
  readonly #groups = new Map<number, Timed[]>();
  readonly #lists: boolean;
  readonly #updateBefore: boolean;

  constructor(lists: boolean, updateBefore: boolean) {
    this.#lists = lists;
    this.#updateBefore = updateBefore;
  }

  #results(key: number): Fired["results"] | null {
    const rows = this.#groups.get(key) ?? [];
    if (rows.length === 0) return null;
    const { values: all, set: distinct, ...rest } = aggregate(rows);
    return (this.#lists ? { ...rest, values: all, set: distinct } : rest) as Fired["results"];
  }

  rows(batch: readonly Event[]): Fired[] {
    const before = new Map([...new Set(batch.map(({ row }) => row.key))].map((key) => [key, this.#results(key)]));
    for (const event of batch) {
      const rows = this.#groups.get(event.row.key) ?? [];
      apply(rows, event);
      this.#groups.set(event.row.key, rows);
    }
    return [...before].flatMap(([key, old]) => {
      const now = this.#results(key);
      const change = (kind: string, results: Fired["results"]): Fired => ({ key, start: 0, end: 0, kind, results });
      if (old === null) return now === null ? [] : [change("insert", now)];
      if (now === null) return [change("delete", old)];
      if (!this.#lists && text(old) === text(now)) return [];
      return this.#updateBefore ? [change("updateBefore", old), change("updateAfter", now)] : [change("updateAfter", now)];
    });
  }
}

const calls = (lists: boolean): typeof allCalls => (lists ? { ...scalarCalls, values: values as never, set: set as never } : scalarCalls);
const noBounds = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/^\["(\w+)",(\d+),(?:0,0|null,null),/, '["$1",$2,')).sort();

describe("group aggregate", () => {
  test("gives the changes of its groups, through retractions and rescaled restarts", async () => {
    let compared = 0;
    await randomCases("group aggregates", 150, async (random) => {
      const lists = random.chance(0.3);
      const updateBefore = random.chance(0.7);
      const retracting = random.chance(0.6);
      const emit = random.pick(["batch", "row"] as const);
      const layout = keyLayout(eventSchema, random.pick(keyChoices));
      const factory = groupAggregate({ input: eventSchema, key: layout, calls: calls(lists), retracting, updateBefore, emit });
      let group = await HarnessGroup.open({ factory, inputs: [eventSchema], keys: [layout], maxParallelism: 8, batchRows: 64 });
      const reference = new ReferenceGroups(lists, updateBefore);
      const shape = { keys: random.int(1, 5), delayMs: 10, paceMs: 10, steps: 14, retractions: retracting, restarts: true };
      for (const step of randomSteps(random, shape)) {
        if (step.restart !== undefined) group = await group.restart(step.restart);
        if (step.rows === undefined) continue;
        group.push(step.rows.map(harnessRow));
        const expected = emit === "batch" ? reference.rows(step.rows) : step.rows.flatMap((event) => reference.rows([event]));
        compareLines(
          text({ lists, updateBefore, retracting, emit }),
          noBounds(actualLines(group.take())),
          noBounds(expectedLines(expected)),
        );
        compared += expected.length;
      }
      await group.close();
    });
    expect(compared).toBeGreaterThan(casesOf(3_000));
  });

  test("takes partial results", async () => {
    await randomCases("partial groups", 40, async (random) => {
      const retracting = random.chance(0.5);
      const layout = keyLayout(eventSchema, random.pick(keyChoices));
      const params = { input: eventSchema, key: layout, calls: scalarCalls, retracting };
      const local = await OperatorHarness.open({
        factory: localAggregate({ ...params, flush: random.pick(["batch", "watermark"]), entriesMax: 3 }),
        inputs: [eventSchema],
      });
      const global = await OperatorHarness.open({
        factory: groupAggregate({ ...params, partial: true, updateBefore: false }),
        inputs: [localAggregateSchema(params)],
      });
      const all = new Map<number, Timed[]>();
      const latest = new Map<unknown, string>();
      for (const step of randomSteps(random, { keys: 4, delayMs: 5, paceMs: 5, steps: 10, retractions: retracting, restarts: false })) {
        if (step.watermarkMs !== undefined) local.watermark(step.watermarkMs);
        for (const event of step.rows ?? []) {
          const rows = all.get(event.row.key) ?? [];
          apply(rows, event);
          all.set(event.row.key, rows);
        }
        local.push((step.rows ?? []).map(harnessRow));
        global.push(local.take());
      }
      for (const change of global.take()) {
        const key = (change.row["key"] as number | undefined) ?? Number((change.row["keyText"] as string).slice(1));
        if (change.kind === "delete") latest.delete(key);
        else latest.set(key, noBounds(actualLines([{ ...change, kind: "insert" }]))[0] as string);
      }
      const expected = [...all].flatMap(([key, rows]) => {
        if (rows.length === 0) return [];
        const { values: _values, set: _set, ...results } = aggregate(rows);
        return [{ key, start: 0, end: 0, kind: "insert", results: results as Fired["results"] }];
      });
      compareLines("last results", [...latest.values()].sort(), noBounds(expectedLines(expected)));
      await local.close();
      await global.close();
    });
  });

  test("says nothing of a change that changes no result", async () => {
    const input = schema({ k: string(), v: int53() });
    const harness = await OperatorHarness.open({
      factory: groupAggregate({ input, key: keyLayout(input, ["k"]), calls: { top: max("v") } }),
      inputs: [input],
    });
    harness
      .push([{ row: { k: "a", v: 5 } }])
      .push([{ row: { k: "a", v: 3 } }])
      .push([{ row: { k: "a", v: 6 } }]);
    expect(harness.take().map(({ kind, row }) => [kind, row["top"]])).toEqual([
      ["insert", 5],
      ["updateBefore", 5],
      ["updateAfter", 6],
    ]);
    await harness.close();
  });

  test("waits for a row that is taken back before it came", async () => {
    const input = schema({ k: string(), v: int53() });
    const factory = groupAggregate({ input, key: keyLayout(input, ["k"]), calls: { n: count(), top: max("v") }, retracting: true });
    const harness = await OperatorHarness.open({ factory, inputs: [input] });
    harness.push([{ row: { k: "a", v: 5 }, kind: "delete" }]).push([{ row: { k: "a", v: 5 } }]);
    expect(harness.take()).toEqual([]);
    harness.push([{ row: { k: "a", v: 4 } }]);
    expect(harness.take()).toEqual([{ row: { k: "a", n: 1, top: 4 }, kind: "insert" }]);
    await harness.close();
  });

  test("forgets a group that was idle for its time to live", async () => {
    const input = schema({ k: string(), v: int53() });
    const ttl = { ttlMs: 100, time: "processing", refresh: "write" } as const;
    const harness = await OperatorHarness.open({
      factory: groupAggregate({ input, key: keyLayout(input, ["k"]), calls: { n: count(), s: sum("v") }, ttl }),
      inputs: [input],
    });
    harness
      .push([{ row: { k: "a", v: 5 } }])
      .advance(60)
      .push([{ row: { k: "a", v: 5 } }])
      .advance(60)
      .push([{ row: { k: "a", v: 5 } }])
      .advance(101);
    harness.push([{ row: { k: "a", v: 7 } }]);
    expect(harness.take().map(({ kind, row }) => [kind, row["n"], row["s"]])).toEqual([
      ["insert", 1, 5],
      ["updateBefore", 1, 5],
      ["updateAfter", 2, 10],
      ["updateBefore", 2, 10],
      ["updateAfter", 3, 15],
      ["insert", 1, 7],
    ]);
    await harness.close();
  });

  test("refuses a result with the name of a key field", () => {
    const input = schema({ k: string(), v: int53() });
    expect(() => groupAggregate({ input, key: keyLayout(input, ["k"]), calls: { k: count() } })).toThrow(/names two fields/);
  });
});
