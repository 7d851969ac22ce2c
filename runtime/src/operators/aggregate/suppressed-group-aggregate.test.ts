// Changes that wait, against a plain model: when they go out, what they take back, through restarts and from state of before.
import { describe, expect, test, vi } from "vitest";
import { casesOf, randomCases } from "../../../../test/reference/random.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { rocksdbBackend } from "../../state/rocksdb/rocksdb-backend.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { count, max, sum } from "./call.ts";
import { groupAggregate } from "./group-aggregate.ts";
import type { Suppression } from "./suppressed-group-aggregate.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const input = schema({ k: string(), v: int53() });
const layout = keyLayout(input, ["k"]);
const calls = { n: count(), total: sum("v"), top: max("v") };

interface Event {
  readonly k: string;
  readonly v: number;
  readonly timeMs: number;
  readonly taken: boolean;
}

interface Group {
  values: number[];
  given: string | null;
  pending: { readonly eventDueMs: number; readonly clockDueMs: number } | null;
  lastMs: number;
}

/** What each key was last said to be, and since when it waits. */
class Model {
  readonly groups = new Map<string, Group>();
  readonly #suppress: Suppression;
  readonly #updateBefore: boolean;
  reachedMs = -Infinity;
  nowMs = 0;

  constructor(suppress: Suppression, updateBefore: boolean) {
    this.#suppress = suppress;
    this.#updateBefore = updateBefore;
  }

  rows(events: readonly Event[]): void {
    const { limitMs, time } = this.#suppress;
    for (const { k, v, timeMs, taken } of events) {
      const group = this.groups.get(k) ?? { values: [], given: null, pending: null, lastMs: 0 };
      this.groups.set(k, group);
      if (taken) group.values.splice(group.values.indexOf(v), 1);
      else group.values.push(v);
      group.lastMs = timeMs;
      group.pending ??= {
        eventDueMs: time === "event" ? Math.max(timeMs, this.reachedMs) + limitMs : Infinity,
        clockDueMs: this.nowMs + limitMs,
      };
    }
  }

  #give(k: string, group: Group, earliestMs: number): string[] {
    const { values, given, lastMs } = group;
    const now = values.length === 0 ? null : JSON.stringify([values.length, values.reduce((a, b) => a + b), Math.max(...values)]);
    group.given = now;
    group.pending = null;
    const line = (kind: string, results: string | null): string => `${kind} ${k} ${results} @${Math.max(lastMs, earliestMs)}`;
    if (given === now) return [];
    if (given === null) return [line("insert", now)];
    if (now === null) return [line("delete", given)];
    return [...(this.#updateBefore ? [line("updateBefore", given)] : []), line("updateAfter", now)];
  }

  watermark(timeMs: number): string[] {
    const lines = [...this.groups].flatMap(([k, group]) => {
      const { pending } = group;
      return pending !== null && pending.eventDueMs <= timeMs ? this.#give(k, group, pending.eventDueMs) : [];
    });
    this.reachedMs = timeMs;
    return lines;
  }

  clock(byMs: number): string[] {
    this.nowMs += byMs;
    return [...this.groups].flatMap(([k, group]) =>
      group.pending !== null && group.pending.clockDueMs <= this.nowMs ? this.#give(k, group, this.reachedMs + 1) : [],
    );
  }
}

interface Shown {
  readonly k: string;
  readonly n: number;
  readonly total: number;
  readonly top: number;
}

const lines = (group: Pick<HarnessGroup, "take">): string[] =>
  group
    .take<Shown>()
    .map(({ kind, row: { k, n, total, top }, timeMs }) => `${kind} ${k} ${JSON.stringify([n, Number(total), top])} @${timeMs}`);
const rowOf = ({ k, v, timeMs, taken }: Event) => ({ row: { k, v }, timeMs, kind: taken ? ("delete" as const) : ("insert" as const) });

describe("suppressed group aggregate", () => {
  test("gives what the model gives, when it gives it, through rescaled restarts", async () => {
    let compared = 0;
    let taken = 0;
    await randomCases("suppressed groups", 60, async (random) => {
      const updateBefore = random.chance(0.7);
      const retracting = random.chance(0.6);
      const suppress: Suppression = { limitMs: random.int(1, 30), time: random.pick(["event", "processing"] as const) };
      const factory = groupAggregate({ input, key: layout, calls, retracting, updateBefore, suppress });
      // So small a heap that entries move to the disk and back.
      const spilled = random.chance(0.1)
        ? { backend: rocksdbBackend({ heapBytes: 2048, blockCacheBytes: 1 << 16, writeBufferBytes: 1 << 16 }) }
        : {};
      let group = await HarnessGroup.open({
        ...spilled,
        factory,
        inputs: [input],
        keys: [layout],
        maxParallelism: 8,
        batchRows: random.pick([1, 3, 64]),
      });
      const model = new Model(suppress, updateBefore);
      let timeMs = 0;
      for (let step = 0; step < 40; step++) {
        const expected: string[] = [];
        const what = random.int(0, 9);
        if (what < 5) {
          const events: Event[] = [];
          for (let n = random.int(1, 5); n > 0; n--) {
            const k = `k${random.int(0, 3)}`;
            const held = [...(model.groups.get(k)?.values ?? [])];
            for (const each of events) if (each.k === k && !each.taken) held.push(each.v);
            for (const each of events) if (each.k === k && each.taken) held.splice(held.indexOf(each.v), 1);
            const takes = retracting && held.length > 0 && random.chance(0.5);
            if (takes) taken++;
            events.push({ k, v: takes ? random.pick(held) : random.int(-5, 5), timeMs: timeMs + random.int(-8, 10), taken: takes });
          }
          group.push(events.map(rowOf));
          model.rows(events);
        } else if (what < 7) {
          timeMs += random.int(1, 20);
          group.watermark(timeMs);
          expected.push(...model.watermark(timeMs));
        } else if (what < 9) {
          const byMs = random.int(1, 20);
          group.advance(byMs);
          expected.push(...model.clock(byMs));
        } else {
          group = await group.restart(random.int(1, 3));
          // Instances that begin know of no time before the first watermark.
          model.reachedMs = -Infinity;
        }
        expect(lines(group).toSorted()).toEqual(expected.toSorted());
        compared += expected.length;
      }
      // The end of the input: nothing stays back, by whichever time it waits.
      group.watermark(endOfTime);
      const left = [...model.groups.values()].filter(({ pending }) => pending !== null).length;
      const given = lines(group);
      expect(given.length).toBeLessThanOrEqual(left * 2);
      const final = new Map<string, string>();
      for (const [k, { given: last }] of model.groups) if (last !== null) final.set(k, last);
      for (const line of given) {
        const [kind, k, results] = line.split(" ") as [string, string, string];
        if (kind === "insert") expect(final.has(k)).toBe(false);
        else if (kind === "updateBefore" || kind === "delete") expect(results).toBe(final.get(k));
        if (kind === "delete") final.delete(k);
        else final.set(k, results);
      }
      const wanted = new Map<string, string>();
      for (const [k, { values }] of model.groups) {
        if (values.length > 0) wanted.set(k, JSON.stringify([values.length, values.reduce((a, b) => a + b), Math.max(...values)]));
      }
      expect([...final].toSorted()).toEqual([...wanted].toSorted());
      await group.close();
    });
    expect(compared).toBeGreaterThan(casesOf(600));
    expect(taken).toBeGreaterThan(casesOf(120));
  });

  test("an idle input keeps nothing back: the clock gives out what event time does not", async () => {
    const suppress: Suppression = { limitMs: 10, time: "event" };
    const harness = await OperatorHarness.open({ factory: groupAggregate({ input, key: layout, calls, suppress }), inputs: [input] });
    harness.push([{ row: { k: "a", v: 1 }, timeMs: 100 }]).watermark(105);
    expect(lines(harness)).toEqual([]);
    harness.advance(9);
    expect(lines(harness)).toEqual([]);
    harness.advance(1);
    // At 100 it would be late for whoever follows.
    expect(lines(harness)).toEqual(["insert a [1,1,1] @106"]);
    harness.watermark(200);
    expect(lines(harness)).toEqual([]);
    expect(harness.operator.nextWakeMs?.()).toBe(Infinity);
    await harness.close();
  });

  test("changes that cancel each other are none", async () => {
    const suppress: Suppression = { limitMs: 10, time: "processing" };
    const factory = groupAggregate({ input, key: layout, calls, retracting: true, suppress });
    const harness = await OperatorHarness.open({ factory, inputs: [input] });
    const change = (v: number, kind: "insert" | "delete") => ({ row: { k: "a", v }, timeMs: 1, kind });
    harness.push([change(1, "insert"), change(1, "delete")]).advance(10);
    expect(lines(harness)).toEqual([]);
    harness.push([change(2, "insert")]).advance(10);
    harness
      .push([change(3, "insert")])
      .push([change(3, "delete")])
      .advance(10);
    expect(lines(harness)).toEqual(["insert a [1,2,2] @1"]);
    await harness.close();
  });

  test("state of before changes waited: what it had given out is taken back", async () => {
    const params = { input, key: layout, calls };
    const older = await OperatorHarness.open({ factory: groupAggregate(params), inputs: [input] });
    older.push([{ row: { k: "a", v: 1 }, timeMs: 1 }]);
    expect(lines(older)).toEqual(["insert a [1,1,1] @1"]);
    const snapshot = older.snapshot();
    await older.close();
    const factory = groupAggregate({ ...params, suppress: { limitMs: 10, time: "event" } });
    const harness = await OperatorHarness.open({ factory, inputs: [input], snapshot });
    harness.push([{ row: { k: "a", v: 2 }, timeMs: 2 }]).push([{ row: { k: "a", v: 3 }, timeMs: 3 }]);
    harness.watermark(12);
    expect(lines(harness)).toEqual(["updateBefore a [1,1,1] @12", "updateAfter a [3,6,3] @12"]);
    await harness.close();
  });

  test("limits that cannot be are refused", () => {
    const refused = (limitMs: number, ttlMs?: number) => () =>
      groupAggregate({
        input,
        key: layout,
        calls,
        suppress: { limitMs, time: "event" },
        ...(ttlMs === undefined ? {} : { ttl: { ttlMs, time: "processing", refresh: "write" } }),
      });
    expect(refused(0)).toThrow(/AGGREGATE_OPTION|suppress/);
    expect(refused(Infinity)).toThrow(/suppress/);
    expect(refused(10, 10)).toThrow(/ttl longer/);
    expect(refused(10, 11)).not.toThrow();
  });
});
