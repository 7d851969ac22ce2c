// What the golden snapshots hold: state with every type of field, as tables to fill and as the entries that must be read back.
import { ManualClock } from "../../runtime/src/base/clock.ts";
import { Batch, Rows } from "../../runtime/src/core/batch/batch.ts";
import { copyValue } from "../../runtime/src/core/batch/copy.ts";
import { rowWriter } from "../../runtime/src/core/batch/rows-builder.ts";
import { type KeyBatch, KeyReader } from "../../runtime/src/core/keys/key-batch.ts";
import { keyLayout, type KeyLayout } from "../../runtime/src/core/keys/key-layout.ts";
import type { KeyedStateBackend } from "../../runtime/src/core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedTable, Timers } from "../../runtime/src/core/ports/state.ts";
import { Decimal } from "../../runtime/src/core/schema/decimal.ts";
import {
  any,
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  float64,
  int32,
  int64,
  int8,
  list,
  mapOf,
  string,
  struct,
  timestamp,
  timestampNanos,
} from "../../runtime/src/core/schema/field.ts";
import { type Schema, schema } from "../../runtime/src/core/schema/schema.ts";
import { memoryBackend } from "../../runtime/src/state/memory/memory-backend.ts";

export const maxParallelism = 4;

const nameKey: Schema = schema({ name: string() });
const everythingValue: Schema = schema({
  flag: boolean(),
  small: int8(),
  big: int64(),
  ratio: float64(),
  price: decimal(10, 2),
  note: string().nullable().optional(),
  side: enumeration("bid", "ask"),
  raw: bytes(),
  at: timestamp(),
  exactly: timestampNanos(),
  day: date(),
  tags: list(string().nullable()),
  byName: mapOf(int32()),
  inner: struct({ b: int32(), a: string().optional() }),
  extra: any(),
});
const placeKey: Schema = schema({
  origin: string().nullable(),
  hour: timestamp(),
  open: boolean(),
  fare: decimal(6, 2),
  side: enumeration("in", "out"),
});
const countValue: Schema = schema({ count: int64() });
const numberKey: Schema = schema({ id: int64() });

/** The tables of one instance. */
export class GoldenState {
  readonly backend: KeyedStateBackend;
  readonly everything: KeyedTable;
  readonly counts: KeyedTable;
  readonly items: KeyedMultiTable;
  readonly timers: Timers;

  private constructor(backend: KeyedStateBackend) {
    this.backend = backend;
    this.everything = backend.state.table({ name: "everything", key: layoutOf(nameKey), value: everythingValue });
    const ttl = { ttlMs: 1e15, time: "processing", refresh: "write" } as const;
    this.counts = backend.state.table({ name: "counts", key: layoutOf(placeKey), value: countValue, ttl });
    this.items = backend.state.multiTable({ name: "items", key: layoutOf(numberKey), value: nameKey, subKey: "string" });
    this.timers = backend.state.timers("timers", layoutOf(nameKey), "event");
  }

  static async open(keyGroups: { readonly from: number; readonly to: number }, directory: string): Promise<GoldenState> {
    const clock = new ManualClock(1_700_000_000_000);
    return new GoldenState(await memoryBackend().open({ uid: "golden", keyGroups, maxParallelism, clock, directory }));
  }

  putEverything(name: string, value: Readonly<Record<string, unknown>>): void {
    const slot = this.everything.find(keyOf(nameKey, { name }), 0, 0, true);
    store(this.everything, everythingValue, slot, value);
    this.everything.touch(slot);
  }

  deleteEverything(name: string): void {
    this.everything.delete(this.everything.find(keyOf(nameKey, { name }), 0, 0, false));
  }

  putCount(key: Readonly<Record<string, unknown>>, namespace: number, number: bigint): void {
    const slot = this.counts.find(keyOf(placeKey, key), 0, namespace, true);
    store(this.counts, countValue, slot, { count: number });
    this.counts.touch(slot);
  }

  putItem(id: bigint, subKey: string, name: string): void {
    const slot = this.items.upsert(keyOf(numberKey, { id }), 0, 0, subKey);
    store(this.items, nameKey, slot, { name });
    this.items.touch(slot);
  }

  putTimer(name: string, namespace: number, timeMs: number): void {
    this.timers.register(keyOf(nameKey, { name }), 0, namespace, timeMs);
  }
}

/** The hash of a key decides its instance: 0 below half of the key groups. */
export function keyGroupOfKey(of: "name" | "place" | "number", key: Readonly<Record<string, unknown>>): number {
  const keys = keyOf({ name: nameKey, place: placeKey, number: numberKey }[of], key);
  return ((keys.hashes[0] ?? 0) >>> 0) % maxParallelism;
}

function layoutOf(of: Schema): KeyLayout {
  return keyLayout(
    of,
    of.fields.map((field) => field.name),
  );
}

function oneRow(of: Schema, row: Readonly<Record<string, unknown>>): Rows {
  const rows = new Rows(of, 1);
  rows.ready.fill(1);
  rowWriter(of)(rows, 0, row);
  rows.size = 1;
  return rows;
}

function keyOf(of: Schema, row: Readonly<Record<string, unknown>>): KeyBatch {
  return new KeyReader(layoutOf(of)).read(new Batch(oneRow(of, row)));
}

function store(table: KeyedTable | KeyedMultiTable, of: Schema, slot: number, row: Readonly<Record<string, unknown>>): void {
  const rows = oneRow(of, row);
  for (const { index } of of.fields) {
    const from = rows.columns[index];
    const to = table.columns[index];
    if (from !== undefined && to !== undefined) copyValue(from, 0, to, slot);
  }
}

export const fullValue: Readonly<Record<string, unknown>> = {
  flag: true,
  small: -8,
  big: -(2n ** 62n),
  ratio: 0.1,
  price: Decimal.parse("-12.50"),
  note: "grüße",
  side: "ask",
  raw: new Uint8Array([0, 255, 7]),
  at: 1_700_000_000_123,
  exactly: 1_700_000_000_123_456_789n,
  day: -1,
  tags: ["a", null, ""],
  byName: new Map([
    ["x", 1],
    ["y", -70_000],
  ]),
  inner: { b: 5, a: "deep" },
  extra: { list: [1, "two", null, 2.5], nested: { yes: true } },
};
export const sparseValue: Readonly<Record<string, unknown>> = {
  ...fullValue,
  flag: false,
  big: 9_007_199_254_740_993n,
  note: null,
  side: "bid",
  raw: new Uint8Array(),
  tags: [],
  byName: new Map(),
  inner: { b: 0 },
  extra: "plain",
};

/** The entries of the last checkpoint and of the savepoint, as readers have to show them; in no particular order. */
export const expectedEntries: readonly Readonly<Record<string, unknown>>[] = [
  everything("full", { note: "grüße" }),
  everything("changed", {
    flag: false,
    big: "9007199254740993",
    note: null,
    side: "bid",
    raw: "",
    tags: [],
    byName: {},
    inner: { b: 0 },
    extra: "plain",
  }),
  everything("missing", {}),
  ...Array.from({ length: 60 }, (_, i) =>
    count(
      { origin: i % 3 === 0 ? null : `AP${i}`, hour: i * -3_600_000, open: i % 2 === 0, fare: `${i}.50`, side: i % 2 === 0 ? "in" : "out" },
      i - 30,
      i < 20 ? i * 1000 : i,
    ),
  ),
  ...["", "b", "ü"].map((subKey) => ({
    uid: "golden",
    table: "items",
    key: { id: "-5000000000000000000" },
    namespace: 0,
    subKey,
    value: { name: `item ${subKey}` },
  })),
  { uid: "golden", table: "items", key: { id: 7 }, namespace: 0, subKey: "only", value: { name: "" } },
  { uid: "golden", table: "timers", key: { name: "early" }, namespace: 0, subKey: -1, value: null },
  { uid: "golden", table: "timers", key: { name: "early" }, namespace: -60_000, subKey: 1_700_000_000_000, value: null },
  { uid: "golden", table: "timers", key: { name: "late" }, namespace: 3, subKey: 9_007_199_254_740_991, value: null },
];

function everything(name: string, other: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const value = {
    flag: true,
    small: -8,
    big: "-4611686018427387904",
    ratio: 0.1,
    price: "-12.50",
    side: "ask",
    raw: "AP8H",
    at: 1_700_000_000_123,
    exactly: "1700000000123456789",
    day: "1969-12-31",
    tags: ["a", null, ""],
    byName: { x: 1, y: -70_000 },
    inner: { b: 5, a: "deep" },
    extra: { list: [1, "two", null, 2.5], nested: { yes: true } },
    ...other,
  };
  return { uid: "golden", table: "everything", key: { name }, namespace: 0, subKey: null, value };
}

function count(key: Readonly<Record<string, unknown>>, namespace: number, number: number): Readonly<Record<string, unknown>> {
  return { uid: "golden", table: "counts", key, namespace, subKey: null, value: { count: number } };
}
