// Process functions: state and timers per key over restarts and rescaling, two inputs, broadcast and instance state, reduce, failures.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { state } from "../../core/handles/declarations.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, int64, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { type HarnessRow, OperatorHarness } from "../../testing/operator-harness.ts";
import { bag, Changelog, play, seed, type Step } from "../../../../test/reference/operator-scenarios.ts";
import { custom } from "../aggregate/call.ts";
import { windowAggregate } from "../window/window-aggregate.ts";
import { broadcastProcess } from "./broadcast-process.ts";
import { instanceProcess } from "./instance-process.ts";
import { coProcess, process } from "./keyed-process.ts";
import { reduce } from "./reduce.ts";
import { reduceAggregate } from "./reduce-aggregate.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const input = schema({ k: string(), v: int53() });
const key = keyLayout(input, ["k"]);

describe("keyed process", () => {
  const output = schema({ k: string(), sum: int53(), rows: int53(), by: string() });
  const silenceMs = 15;

  // Gives the sum of a key's rows after a silence in event time, and after 100 ms of processing time since the first row.
  const sums = process({
    input,
    key,
    output,
    state: { values: state.list(int53()), last: state.value(int53()), deadline: state.value(int53()) },
    functions: {
      onRow(row: { k: string; v: number }, context) {
        context.state.values.add(row.v);
        const last = context.state.last.get();
        if (last !== undefined) context.timers.cancelEventTime(last + silenceMs);
        const latest = Math.max(last ?? -Infinity, context.timestamp);
        context.state.last.set(latest);
        context.timers.onEventTime(latest + silenceMs);
        if (context.state.deadline.get() === undefined) {
          context.state.deadline.set(context.now + 100);
          context.timers.onProcessingTime(context.now + 100);
        }
      },
      onTimer(timer, context) {
        const values = context.state.values.get();
        const { k } = context.key as { k: string };
        context.emit(
          { k, sum: values.reduce((a, b) => a + b, 0), rows: values.length, by: timer.time },
          timer.time === "event" ? timer.timeMs : 7,
        );
        const deadline = context.state.deadline.get();
        if (deadline !== undefined) context.timers.cancelProcessingTime(deadline);
        const last = context.state.last.get();
        if (last !== undefined) context.timers.cancelEventTime(last + silenceMs);
        context.state.values.clear();
        context.state.last.clear();
        context.state.deadline.clear();
      },
    },
  });

  const event = fc.oneof(
    { weight: 12, arbitrary: fc.record({ key: fc.nat(3), value: fc.nat(100), at: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 3, arbitrary: fc.record({ by: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) },
  );

  test(`fires what a plain simulation fires, over restarts and rescaling (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40, size: "max" }), async (events) => {
        const open = new Map<string, { values: number[]; last: number; deadline: number }>();
        const expected: unknown[] = [];
        let eventMs = 0;
        let clockMs = 0;
        const fire = (k: string, by: string, timeMs: number): void => {
          const { values } = open.get(k) as { values: number[] };
          expected.push({ k, sum: values.reduce((a, b) => a + b, 0), rows: values.length, by, timeMs });
          open.delete(k);
        };
        const steps = events.map((entry): Step => {
          if ("restart" in entry) return { do: "restart", parallelism: entry.restart };
          if ("by" in entry) {
            eventMs += entry.by;
            for (const [k, { last }] of open) if (last + silenceMs <= eventMs) fire(k, "event", last + silenceMs);
            return { do: "watermark", timeMs: eventMs };
          }
          if ("wait" in entry) {
            clockMs += entry.wait;
            for (const [k, { deadline }] of open) if (deadline <= clockMs) fire(k, "processing", 7);
            return { do: "advance", byMs: entry.wait };
          }
          const k = `k${entry.key}`;
          const timeMs = eventMs + entry.at;
          const before = open.get(k);
          open.set(k, {
            values: [...(before?.values ?? []), entry.value],
            last: Math.max(before?.last ?? -Infinity, timeMs),
            deadline: before?.deadline ?? clockMs + 100,
          });
          return { do: "rows", input: 0, rows: [{ row: { k, v: entry.value }, timeMs }] };
        });
        const { rows } = await play({ factory: sums, inputs: [input], keys: [key], parallelism: 2 }, steps, [], undefined, {
          anyTime: true,
        });
        expect(bag(rows.map(({ row, timeMs }) => ({ ...row, timeMs })))).toEqual(bag(expected));
      }),
      { numRuns: 60, seed },
    );
  });

  test("a call that throws emits nothing and is a dead letter; the batch goes on, side outputs and kinds too", async () => {
    const factory = process({
      input,
      key,
      output: input,
      sides: { big: schema({ v: int53() }) },
      functions: {
        onRow(row: { k: string; v: number }, context) {
          context.emitChange(context.kind, { k: row.k, v: row.v });
          if (row.v > 10) context.output("big").emit({ v: row.v }, 99);
          if (row.v === 12) throw new Error("twelve");
          if (row.v === 13) context.emit({ k: row.k, v: 0.5 });
        },
        onTimer() {},
      },
    });
    const harness = await OperatorHarness.open({ factory, inputs: [input] });
    harness.push([9, 12, 13, 14].map((v): HarnessRow => ({ row: { k: "a", v }, timeMs: v, kind: "delete" })));
    expect(harness.take()).toEqual([9, 14].map((v) => ({ row: { k: "a", v }, timeMs: v, kind: "delete" })));
    expect(harness.take("big")).toEqual([{ row: { v: 14 }, timeMs: 99, kind: "insert" }]);
    expect(harness.badRows.map(({ code, row }) => [code, (row as { v: number }).v])).toEqual([
      ["FUNCTION_FAILED", 12],
      ["FUNCTION_FAILED", 13],
    ]);
    await harness.close();
  });

  test("a timer's failure names the key and the timer; the end is told once; there is no state outside of calls", async () => {
    let kept: { readonly state: { readonly n: { get(): unknown } }; readonly key: unknown } | undefined;
    let ends = 0;
    const wide = schema({ a: int64(), b: string().nullable() });
    const factory = process({
      input: wide,
      key: keyLayout(wide, ["a", "b"]),
      output: wide,
      state: { n: state.value(int53()) },
      functions: {
        onRow(row: { a: bigint; b: string | null }, context) {
          expect(context.key).toEqual({ a: row.a, b: row.b });
          context.timers.onEventTime(50);
          kept = context;
        },
        onTimer() {
          throw new Error("late");
        },
        onEnd(context) {
          ends++;
          context.emit({ a: 0n, b: "end" }, 1);
        },
      },
    });
    const harness = await OperatorHarness.open({ factory, inputs: [wide] });
    harness
      .push([{ row: { a: 2n ** 60n, b: null }, timeMs: 1 }])
      .watermark(50)
      .end();
    expect(harness.badRows.map(({ reason, row }) => [reason, row])).toEqual([
      ["the function onTimer failed: late", { key: { a: 2n ** 60n, b: null }, timer: { time: "event", timeMs: 50 } }],
    ]);
    expect([ends, harness.take().map(({ row }) => row["b"])]).toEqual([1, ["end"]]);
    expect(() => kept?.state.n.get()).toThrow("outside of the processing of a key");
    expect(() => kept?.key).toThrow("no key outside");
    await harness.close();
  });

  test("two inputs share the state of a key", async () => {
    const right = schema({ id: string(), w: int53() });
    const rightKey = keyLayout(right, ["id"]);
    const factory = coProcess({
      left: input,
      right,
      leftKey: key,
      rightKey,
      output: schema({ k: string(), text: string() }),
      state: { seen: state.list(string()) },
      functions: {
        onLeft(row: { k: string; v: number }, context) {
          context.state.seen.add(`l${row.v}`);
          context.emit({ k: row.k, text: context.state.seen.get().join() });
        },
        onRight(row: { id: string; w: number }, context) {
          context.state.seen.add(`r${row.w}`);
          context.emit({ k: (context.key as { k: string }).k, text: context.state.seen.get().join() });
        },
      },
    });
    let group = await HarnessGroup.open({ factory, inputs: [input, right], keys: [key, rightKey], parallelism: 2 });
    group.push([{ row: { k: "a", v: 1 } }, { row: { k: "b", v: 2 } }]).push([{ row: { id: "a", w: 3 } }], 1);
    expect(bag(group.take().map(({ row }) => row["text"]))).toEqual(bag(["l1", "l2", "l1,r3"]));
    group = await group.restart(3);
    group.push([{ row: { id: "b", w: 4 } }], 1).push([{ row: { k: "a", v: 5 } }]);
    expect(bag(group.take().map(({ row }) => row["text"]))).toEqual(bag(["l2,r4", "l1,r3,l5"]));
    await group.close();
  });
});

describe("broadcast state", () => {
  const rules = schema({ name: string(), least: int53().nullable() });
  const output = schema({ k: string(), v: int53(), by: string() });
  const make = (keyed: boolean): ReturnType<typeof broadcastProcess> =>
    broadcastProcess({
      input,
      broadcast: rules,
      ...(keyed ? { key } : {}),
      output,
      maps: { rules: state.map(string(), int53()), order: state.map(int64(), schema({ name: string() })) },
      functions: {
        onRow(row: { k: string; v: number }, context, broadcast) {
          for (const [name, least] of broadcast.rules) if (row.v >= least) context.emit({ k: row.k, v: row.v, by: name });
        },
        onBroadcast(rule: { name: string; least: number | null }, broadcast) {
          if (rule.least === null) broadcast.rules.delete(rule.name);
          else broadcast.rules.set(rule.name, rule.least);
          if (rule.least === -1) throw new Error("bad rule");
          broadcast.order.set(BigInt(broadcast.order.size), { name: rule.name });
        },
      },
    });

  test.each([[true], [false]])(
    "every instance applies the same rules, after a restart at another parallelism too (keyed: %s)",
    async (keyed) => {
      const options = { factory: make(keyed), inputs: [input, rules], keys: [key, keyLayout(rules, ["name"])] };
      let group = await HarnessGroup.open({ ...options, parallelism: 2 });
      const broadcast = (...changes: readonly (readonly [string, number | null])[]): void => {
        for (const instance of group.instances)
          instance.push(
            changes.map(([name, least]) => ({ row: { name, least } })),
            1,
          );
      };
      const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
      const given = (): string[] => {
        group.push(keys.map((k, v) => ({ row: { k, v } })));
        return bag(group.take().map(({ row }) => [row["v"], row["by"]]));
      };
      const expected = (all: Readonly<Record<string, number>>): string[] =>
        bag(
          keys.flatMap((_, v) =>
            Object.entries(all)
              .filter(([, least]) => v >= least)
              .map(([by]) => [v, by]),
          ),
        );
      broadcast(["x", 5], ["y", 15]);
      expect(given()).toEqual(expected({ x: 5, y: 15 }));
      for (const parallelism of [3, 1]) {
        group = await group.restart(parallelism);
        expect(given()).toEqual(expected({ x: 5, y: 15 }));
      }
      broadcast(["x", null], ["z", 19]);
      expect(given()).toEqual(expected({ y: 15, z: 19 }));
      await group.close();
    },
  );

  test("a failing rule is one dead letter, whatever the parallelism", async () => {
    const group = await HarnessGroup.open({
      factory: make(true),
      inputs: [input, rules],
      keys: [key, keyLayout(rules, ["name"])],
      parallelism: 3,
    });
    for (const instance of group.instances) instance.push([{ row: { name: "bad", least: -1 } }], 1);
    expect(group.instances.map(({ badRows }) => badRows.length)).toEqual([1, 0, 0]);
    await group.close();
  });
});

test("instance state is split over instances, or seen by all, after a restart", async () => {
  const output = schema({ n: int53() });
  const factory = instanceProcess({
    input,
    output,
    lists: { pending: { type: input, redistribution: "split" }, all: { type: int53(), redistribution: "union" } },
    functions: {
      onRow(row: { k: string; v: number }, context, lists) {
        if (row.v < 0) context.emit({ n: lists.pending.size * 1000 + lists.all.size });
        else {
          lists.pending.add(row);
          lists.all.add(row.v);
        }
      },
      onWatermark(_timeMs, context, lists) {
        for (const row of lists.pending) context.emit({ n: row.v });
        lists.pending.clear();
      },
    },
  });
  const open = (subtask: number, parallelism: number, snapshot?: ReturnType<OperatorHarness["snapshot"]>): Promise<OperatorHarness> =>
    OperatorHarness.open({ factory, inputs: [input], subtask, parallelism, snapshot });
  const first = await open(0, 1);
  first.push([1, 2, 3, 4, 5].map((v) => ({ row: { k: "a", v } })));
  const snapshot = first.snapshot();
  await first.close();
  const both = [await open(0, 2, snapshot), await open(1, 2, snapshot)];
  for (const instance of both) instance.push([{ row: { k: "a", v: -1 } }]);
  expect(both.map((instance) => instance.take()[0]?.row["n"])).toEqual([3005, 2005]);
  for (const instance of both) instance.watermark(10);
  const drained = both.flatMap((instance) => instance.take());
  expect(bag(drained.map(({ row, timeMs }) => [row["n"], timeMs]))).toEqual(bag([1, 2, 3, 4, 5].map((n) => [n, 10])));
  for (const instance of both) await instance.close();
});

test("instance state that an older version wrote is read, or refused by name", async () => {
  const make = (type: Parameters<typeof schema>[0]): ReturnType<typeof instanceProcess> =>
    instanceProcess({
      input,
      output: input,
      lists: { kept: { type: schema(type), redistribution: "split" } },
      functions: {
        onRow(row: { k: string; v: number }, context, lists) {
          for (const old of lists.kept as Iterable<{ v: number; added?: string }>) context.emit({ k: old.added ?? "none", v: old.v });
          if (row.v === 1) lists.kept.add({ ...row });
        },
      },
    });
  const first = await OperatorHarness.open({ factory: make({ k: string(), v: int53() }), inputs: [input] });
  first.push([{ row: { k: "a", v: 1 } }]);
  const snapshot = first.snapshot();
  await first.close();
  const second = await OperatorHarness.open({ factory: make({ v: int53(), added: string().default("new") }), inputs: [input], snapshot });
  second.push([{ row: { k: "a", v: 2 } }]);
  expect(second.take().map(({ row }) => row)).toEqual([{ k: "new", v: 1 }]);
  await second.close();
  await expect(OperatorHarness.open({ factory: make({ v: string() }), inputs: [input], snapshot })).rejects.toMatchObject({
    code: "STATE_SCHEMA_INCOMPATIBLE",
  });
});

describe("reduce", () => {
  const event = fc.oneof(
    { weight: 12, arbitrary: fc.record({ key: fc.nat(3), value: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) },
  );

  test(`each result is all rows of the key so far, as rows or as a changelog (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 40, size: "max" }),
        fc.constantFrom("append" as const, "upsert" as const, "retract" as const),
        async (events, mode) => {
          const fn = (a: { k: string; v: number }, b: { k: string; v: number }): { k: string; v: number } => {
            if (b.v === 13) throw new Error("13");
            if (b.v === 14) return { k: b.k, v: 0.5 };
            return a.v > b.v ? a : { k: b.k, v: a.v + b.v };
          };
          const steps = events.map(
            (entry): Step =>
              "restart" in entry
                ? { do: "restart", parallelism: entry.restart }
                : { do: "rows", input: 0, rows: [{ row: { k: `k${entry.key}`, v: entry.value }, timeMs: 5 }] },
          );
          const reduced = new Map<string, number>();
          const expected: unknown[] = [];
          let bad = 0;
          for (const entry of events) {
            if ("restart" in entry) continue;
            const k = `k${entry.key}`;
            const before = reduced.get(k);
            if (before !== undefined && (entry.value === 13 || entry.value === 14)) {
              bad++;
              continue;
            }
            const v = before === undefined ? entry.value : before > entry.value ? before : before + entry.value;
            reduced.set(k, v);
            if (before !== undefined && mode === "retract") expected.push({ k, v: before, kind: "updateBefore" });
            expected.push({ k, v, kind: before === undefined || mode === "append" ? "insert" : "updateAfter" });
          }
          const played = await play(
            { factory: reduce({ input, key, fn, output: mode }), inputs: [input], keys: [key], parallelism: 2 },
            steps,
          );
          expect(played.rows.map(({ row, kind }) => ({ ...row, kind }))).toEqual(expected);
          expect(played.badRows).toBe(bad);
          if (mode === "retract") expect(new Changelog().apply(played.rows).rows()).toEqual(bag([...reduced].map(([k, v]) => ({ k, v }))));
        },
      ),
      { numRuns: 40, seed },
    );
  });
});

test("a reduce function over the panes of a sliding window gives each window's rows reduced", async () => {
  const fn = (a: { k: string; v: number }, b: { k: string; v: number }): { k: string; v: number } => (a.v > b.v ? a : b);
  const factory = windowAggregate({
    input,
    key,
    window: { kind: "sliding", sizeMs: 20, slideMs: 10 },
    calls: { best: custom(reduceAggregate(input, fn)) },
  });
  const harness = await OperatorHarness.open({ factory, inputs: [input] });
  harness.push([1, 9, 4, 7].map((v, at) => ({ row: { k: "a", v }, timeMs: at * 8 }))).watermark(1000);
  const windows = harness.take().map(({ row }) => [row["windowStart"], row["best"]]);
  // Rows at 0, 8, 16 and 24 ms.
  const best = (startMs: number): unknown => {
    const rows = [1, 9, 4, 7].filter((_v, at) => at * 8 >= startMs && at * 8 < startMs + 20);
    return { k: "a", v: Math.max(...rows) };
  };
  expect(windows).toEqual([-10, 0, 10, 20].map((startMs) => [startMs, best(startMs)]));
  await harness.close();
});
