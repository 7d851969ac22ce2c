// The handles of user state, over the memory backend: what each one gives back, and for which key.
import { describe, expect, expectTypeOf, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { Batch, Rows } from "../batch/batch.ts";
import { type KeyBatch, KeyReader } from "../keys/key-batch.ts";
import { keyLayout } from "../keys/key-layout.ts";
import { boolean, decimal, int32, int53, int64, list, mapOf, string, struct, timestamp } from "../schema/field.ts";
import { type RowType, schema } from "../schema/schema.ts";
import { Decimal } from "../schema/decimal.ts";
import type { ListState, MapState } from "./collection-state.ts";
import { type Declarations, state } from "./declarations.ts";
import { keyTimers } from "./key-timers.ts";
import { stateHandles, type StateHandles } from "./state-handles.ts";
import type { AggregatingState, ReducingState, ValueState } from "./value-state.ts";

const keySchema = schema({ id: int53() });
const layout = keyLayout(keySchema, ["id"]);

function keysOf(...ids: readonly number[]): KeyBatch {
  const rows = new Rows(keySchema, ids.length);
  rows.ready.fill(1);
  ids.forEach((id, row) => {
    (rows.columns[0] as { numbers: Float64Array }).numbers[row] = id;
  });
  rows.size = ids.length;
  return new KeyReader(layout).read(new Batch(rows));
}

async function open<D extends Declarations>(declarations: D, clock = new ManualClock(0)): Promise<StateHandles<D>> {
  const backend = await memoryBackend().open({ uid: "u", keyGroups: { from: 0, to: 8 }, maxParallelism: 8, clock, directory: "" });
  return stateHandles(backend.state, layout, declarations);
}

describe("state handles", () => {
  it("have the types of their declarations", async () => {
    const last = schema({ at: timestamp(), note: string().nullable() });
    const { handles } = await open({
      count: state.value(int64()),
      last: state.value(last),
      seen: state.list(string()),
      byName: state.map(string(), int32()),
      most: state.reducing(int32(), (a, b) => Math.max(a, b)),
      average: state.aggregating({
        accumulator: schema({ sum: int53(), n: int53() }),
        create: () => ({ sum: 0, n: 0 }),
        add: ({ sum, n }, value: number) => ({ sum: sum + value, n: n + 1 }),
        result: ({ sum, n }): string => (sum / n).toFixed(1),
      }),
    });
    expectTypeOf(handles.count).toEqualTypeOf<ValueState<bigint>>();
    expectTypeOf(handles.last).toEqualTypeOf<ValueState<RowType<typeof last>>>();
    expectTypeOf(handles.seen).toEqualTypeOf<ListState<string>>();
    expectTypeOf(handles.byName).toEqualTypeOf<MapState<string, number>>();
    expectTypeOf(handles.most).toEqualTypeOf<ReducingState<number>>();
    expectTypeOf(handles.average).toEqualTypeOf<AggregatingState<number, string>>();
  });

  it("keep each key's and each namespace's values apart", async () => {
    const { handles, bind, prefetch } = await open({ count: state.value(int64()) });
    const keys = keysOf(1, 2, 1);
    prefetch(keys);
    for (let k = 0; k < 3; k++) {
      bind(keys, k);
      handles.count.set((handles.count.get() ?? 0n) + 10n ** 17n);
    }
    bind(keys, 1, 5);
    expect(handles.count.get()).toBe(undefined);
    handles.count.set(3n);
    expect([0, 1].map((k) => (bind(keys, k), handles.count.get()))).toEqual([2n * 10n ** 17n, 10n ** 17n]);
    handles.count.clear();
    expect(handles.count.get()).toBe(undefined);
    bind(keys, 1, 5);
    expect(handles.count.get()).toBe(3n);
  });

  it("give back rows of every kind of field as they were, null and missing told apart", async () => {
    const row = schema({
      flag: boolean(),
      big: int64().nullable(),
      price: decimal(10, 2),
      tags: list(string()),
      by: mapOf(int32()).optional(),
      at: struct({ x: int32(), y: int32().optional() }),
    });
    const { handles, bind } = await open({ row: state.value(row) });
    const keys = keysOf(1);
    const first = { flag: true, big: 2n ** 62n, price: Decimal.parse("1.50"), tags: ["a"], by: new Map([["k", 1]]), at: { x: 1 } };
    bind(keys, 0);
    handles.row.set(first);
    expect(handles.row.get()).toEqual(first);
    const second = { flag: false, big: null, price: Decimal.parse("-0.01"), tags: [], at: { x: 2, y: 3 } };
    handles.row.set(second);
    expect({ ...handles.row.get() }).toEqual({ ...second, by: undefined });
    handles.row.set(first);
    bind(keys, 0);
    expect(handles.row.get()).toEqual(first);
  });

  it("copy what they are given: changing it later changes nothing", async () => {
    const { handles, bind } = await open({ value: state.value(list(string())), list: state.list(schema({ at: struct({ x: int32() }) })) });
    bind(keysOf(1), 0);
    const tags = ["a"];
    const item = { at: { x: 1 } };
    handles.value.set(tags);
    handles.list.add(item);
    tags.push("b");
    item.at.x = 2;
    expect(handles.value.get()).toEqual(["a"]);
    expect(handles.list.get()).toEqual([{ at: { x: 1 } }]);
  });

  it("refuse a value that does not fit, and keep the old one", async () => {
    const { handles, bind } = await open({
      row: state.value(schema({ a: int32(), b: string() })),
      map: state.map(int32(), int32()),
      list: state.list(int32()),
    });
    bind(keysOf(1), 0);
    const refuse = (act: () => void): void => {
      let error: unknown;
      try {
        act();
      } catch (thrown) {
        error = thrown;
      }
      expect(isMillraceError(error, "ROW_INVALID"), String(error)).toBe(true);
    };
    const bad = { a: 5, b: 5 } as unknown as { a: number; b: string };
    refuse(() => handles.row.set(bad));
    expect(handles.row.get()).toBe(undefined);
    handles.row.set({ a: 1, b: "x" });
    refuse(() => handles.row.set(bad));
    expect(handles.row.get()).toEqual({ a: 1, b: "x" });
    refuse(() => handles.map.set(1, 0.5));
    refuse(() => handles.map.set(2 ** 40, 1));
    refuse(() => handles.list.add(2 ** 40));
    expect([handles.map.size, handles.list.size]).toEqual([0, 0]);
  });

  it("list: keeps the order of adding, over clear and replacement", async () => {
    const { handles, bind } = await open({ list: state.list(string()) });
    const keys = keysOf(1, 2);
    bind(keys, 0);
    handles.list.addAll(["b", "a"]);
    bind(keys, 1);
    handles.list.add("other");
    bind(keys, 0);
    handles.list.add("c");
    expect([...handles.list]).toEqual(["b", "a", "c"]);
    handles.list.set(handles.list.get().slice(1));
    expect([handles.list.get(), handles.list.size]).toEqual([["a", "c"], 2]);
    handles.list.clear();
    expect(handles.list.get()).toEqual([]);
    handles.list.add("d");
    expect(handles.list.get()).toEqual(["d"]);
  });

  it("map: behaves as a Map, also with 64-bit keys, and may be changed while it is iterated", async () => {
    const { handles, bind } = await open({ names: state.map(string(), int32()), big: state.map(int64(), string()) });
    bind(keysOf(1), 0);
    const { names, big } = handles;
    names.set("a", 1);
    names.set("", 2);
    names.set("a", 3);
    expect([...names]).toEqual([
      ["a", 3],
      ["", 2],
    ]);
    expect([names.get("a"), names.get("b"), names.has(""), names.delete("b"), names.size]).toEqual([3, undefined, true, false, 2]);
    for (const [name, n] of names) {
      names.set(`${name}!`, n);
      names.delete(name);
    }
    expect([names.keys(), names.values()]).toEqual([
      ["a!", "!"],
      [3, 2],
    ]);
    big.set(2n ** 62n, "x");
    big.set(-1n, "y");
    expect(big.entries()).toEqual([
      [2n ** 62n, "x"],
      [-1n, "y"],
    ]);
    names.clear();
    expect([names.size, big.size]).toEqual([0, 2]);
  });

  it("reducing and aggregating: hold what all added values come to", async () => {
    const { handles, bind } = await open({
      most: state.reducing(int32(), (a, b) => Math.max(a, b)),
      average: state.aggregating({
        accumulator: schema({ sum: int53(), n: int53() }),
        create: () => ({ sum: 0, n: 0 }),
        add: ({ sum, n }, value: number) => ({ sum: sum + value, n: n + 1 }),
        result: ({ sum, n }) => sum / n,
      }),
    });
    bind(keysOf(1), 0);
    expect([handles.most.get(), handles.average.get()]).toEqual([undefined, undefined]);
    for (const value of [3, 9, 4]) {
      handles.most.add(value);
      handles.average.add(value + 2);
    }
    expect([handles.most.get(), handles.average.get()]).toEqual([9, 22 / 3]);
    handles.most.clear();
    handles.average.clear();
    expect([handles.most.get(), handles.average.get()]).toEqual([undefined, undefined]);
  });

  it("lets values, elements and entries expire each for itself", async () => {
    const clock = new ManualClock(0);
    const ttl = { ttlMs: 100, time: "processing", refresh: "write" } as const;
    const { handles, bind } = await open(
      { value: state.value(int32(), { ttl }), list: state.list(int32(), { ttl }), map: state.map(string(), int32(), { ttl }) },
      clock,
    );
    bind(keysOf(1), 0);
    handles.value.set(1);
    handles.list.add(1);
    handles.map.set("a", 1);
    clock.advance(60);
    handles.list.add(2);
    handles.map.set("b", 2);
    clock.advance(60);
    bind(keysOf(1), 0);
    expect([handles.value.get(), handles.list.get(), handles.map.entries()]).toEqual([undefined, [2], [["b", 2]]]);
  });

  it("throws when it is used without a key", async () => {
    const { handles } = await open({ value: state.value(int32()), list: state.list(int32()) });
    expect(() => handles.value.get()).toThrow("outside of the processing of a key");
    expect(() => handles.list.add(1)).toThrow("outside of the processing of a key");
  });

  it("timers: belong to the bound key and namespace", async () => {
    const backend = await memoryBackend().open({
      uid: "u",
      keyGroups: { from: 0, to: 8 },
      maxParallelism: 8,
      clock: new ManualClock(0),
      directory: "",
    });
    const { bound, bind } = stateHandles(backend.state, layout, {});
    const { event, processing, timers } = keyTimers(backend.state, layout, bound);
    const keys = keysOf(1, 2);
    bind(keys, 1, 7);
    timers.onEventTime(20);
    timers.onEventTime(20);
    timers.onEventTime(10);
    timers.onProcessingTime(5);
    bind(keys, 0);
    timers.onEventTime(15);
    timers.onEventTime(16);
    timers.cancelEventTime(16);
    timers.cancelProcessingTime(5);
    const fired: unknown[] = [];
    event.fire(100, (fromKeys, namespace, timeMs) => fired.push([fromKeys.low[0], namespace, timeMs]));
    expect(fired).toEqual([
      [2, 7, 10],
      [1, 0, 15],
      [2, 7, 20],
    ]);
    expect(processing.nextMs()).toBe(5);
    expect(() => timers.onEventTime(0.5)).toThrow(RangeError);
  });
});
