// What a changelog keeps of a table is the table: after any changes, captured at any moments, compacted anywhere.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { Batch, Rows, identitySelection } from "../../../core/batch/batch.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { KeyReader } from "../../../core/keys/key-batch.ts";
import { keyLayout } from "../../../core/keys/key-layout.ts";
import type { KeyedStateBackend, StoredTableSpec } from "../../../core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedTable, Timers } from "../../../core/ports/state.ts";
import { int53, string } from "../../../core/schema/field.ts";
import type { FieldSpec } from "../../../core/schema/type-spec.ts";
import { schema } from "../../../core/schema/schema.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { ChangelogEncoder, type TakeRecord } from "./changelog-codec.ts";
import { MemoryCopy, type RecordMap, restoredGeneration, storedList, storedState } from "./changelog-copy.ts";

const Keyed = schema({ key: string() });
const layout = keyLayout(Keyed, ["key"]);
const value = schema({ n: int53() });

const noTurn = async (): Promise<void> => undefined;

interface Opened {
  readonly backend: KeyedStateBackend;
  readonly table: KeyedTable;
  readonly many: KeyedMultiTable;
  readonly timers: Timers;
}

async function open(): Promise<Opened> {
  const clock = new ManualClock();
  const backend = await memoryBackend().open({ uid: "op", keyGroups: { from: 0, to: 16 }, maxParallelism: 16, clock, directory: "unused" });
  const { state } = backend;
  return {
    backend,
    table: state.table({ name: "sums", key: layout, value }),
    many: state.multiTable({ name: "rows", key: layout, value, subKey: "number" }),
    timers: state.timers("ends", layout, "event"),
  };
}

function keysOf(key: string) {
  const rows = new Rows(Keyed, 1);
  rows.ready.fill(1);
  rows.size = 1;
  rowWriter(Keyed)(rows, 0, { key });
  return new KeyReader(layout).read(new Batch(rows, identitySelection(1), 1));
}

const change = fc.record({
  what: fc.constantFrom("put", "delete", "add", "remove", "timer", "cancel", "capture"),
  key: fc.constantFrom("a", "b", "c", "d"),
  namespace: fc.constantFrom(0, -5, 60_000),
  sub: fc.integer({ min: -2, max: 2 }),
  n: fc.nat({ max: 1000 }),
});
type Change = Omit<typeof change extends fc.Arbitrary<infer T> ? T : never, "key"> & { readonly key: string };

function apply({ table, many, timers }: Opened, { what, key, namespace, sub, n }: Change): void {
  const keys = keysOf(key);
  if (what === "put") {
    const slot = table.find(keys, 0, namespace, true);
    (table.columns[0] as (typeof table.columns)[number]).numbers[slot] = n;
    table.touch(slot);
  } else if (what === "delete") {
    const slot = table.find(keys, 0, namespace, false);
    if (slot >= 0) table.delete(slot);
  } else if (what === "add") {
    const slot = many.upsert(keys, 0, namespace, sub);
    (many.columns[0] as (typeof many.columns)[number]).numbers[slot] = n;
    many.touch(slot);
  } else if (what === "remove") {
    const slot = many.find(keys, 0, namespace, sub);
    if (slot >= 0) many.delete(slot);
  } else if (what === "timer") timers.register(keys, 0, namespace, n);
  else if (what === "cancel") timers.delete(keys, 0, namespace, n);
}

function contentOf({ table, many, timers }: Opened): unknown {
  const entries: string[] = [];
  table.visitAll((slots, count) => {
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      entries.push(`sum ${String(table.keyBytes(slot))} ${table.namespaceOf(slot)} ${table.columns[0]?.numbers[slot]}`);
    }
  });
  many.visitAll((slots, count) => {
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number;
      entries.push(`row ${String(many.keyBytes(slot))} ${many.namespaceOf(slot)} ${many.subKeyOf(slot)} ${many.columns[0]?.numbers[slot]}`);
    }
  });
  timers.fire(Infinity, (_keys, namespace, timeMs) => entries.push(`timer ${namespace} ${timeMs}`));
  return entries.toSorted();
}

test("a table, a multi table and timers come back as they were at the last capture", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 60 }), async (changes) => {
      const first = await open();
      const encoder = new ChangelogEncoder();
      const copy = new MemoryCopy();
      const capture = (): void => {
        const { tables, blocks } = first.backend.capture();
        encoder.blocks(tables, blocks, (key, bytes) => copy.apply(key.copy(), bytes === null ? null : bytes.copy()));
      };
      for (const each of changes) {
        if (each.what === "capture") capture();
        else apply(first, each);
      }
      capture();
      const second = await open();
      await second.backend.restore(await storedState("topic", copy, noTurn));
      expect(contentOf(second)).toEqual(contentOf(first));
    }),
    { numRuns: 200 },
  );
});

test("a list that is not keyed comes back whole, the last one written", () => {
  const encoder = new ChangelogEncoder();
  const copy = new MemoryCopy();
  const entries = (text: string) => [
    { key: "k", value: Buffer.from(text) },
    { key: "", value: Buffer.alloc(0) },
  ];
  for (const text of ["old", "new"]) {
    encoder.list({ name: "splits", redistribution: "union", entries: entries(text) }, (key, bytes) =>
      copy.apply(key.copy(), bytes?.copy() ?? null),
    );
  }
  const found = storedList("topic", copy, "splits").map(({ key, value: bytes }) => [key, Buffer.from(bytes).toString()]);
  expect(found).toEqual([
    ["k", "new"],
    ["", ""],
  ]);
  expect(storedList("topic", copy, "others")).toEqual([]);
});

test("a foreign record is refused by the topic's name", async () => {
  const copy = new MemoryCopy();
  copy.apply(Buffer.from([1, 200, 1]), Buffer.from("not ours"));
  const second = await open();
  const restored = storedState("app-count-changelog", copy, noTurn).then((stored) => second.backend.restore(stored));
  await expect(restored).rejects.toThrow(/changelog topic app-count-changelog/);
});

/** A copy that tells how much of it was read, and how much without a turn for others. */
class CountedCopy implements RecordMap {
  readonly copy: MemoryCopy = new MemoryCopy();
  recordsRead = 0;
  turns = 0;
  mostBytesWithoutTurn = 0;
  #bytesSinceTurn = 0;

  *records(prefix?: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    for (const record of this.copy.records(prefix)) {
      this.recordsRead++;
      this.#bytesSinceTurn += record[0].length + record[1].length;
      this.mostBytesWithoutTurn = Math.max(this.mostBytesWithoutTurn, this.#bytesSinceTurn);
      yield record;
    }
  }

  readonly turn = async (): Promise<void> => {
    this.turns++;
    this.#bytesSinceTurn = 0;
  };
}

/** A copy with `count` entries of the table "sums"; `changed` says that they had another schema before. */
async function filled(count: number, changed: boolean): Promise<CountedCopy> {
  const counted = new CountedCopy();
  const encoder = new ChangelogEncoder();
  const take: TakeRecord = (key, bytes) => counted.copy.apply(key.copy(), bytes?.copy() ?? null);
  const first = await open();
  for (let n = 0; n < count; n++) apply(first, { what: "put", key: `${"x".repeat(100)} ${n}`, namespace: 0, sub: 0, n });
  const { tables, blocks } = first.backend.capture();
  const [table] = tables.filter(({ name }) => name === "sums");
  if (table === undefined) throw new Error("the table is captured");
  const old: StoredTableSpec = { ...table, value: { before: table.value["n"] as FieldSpec }, valueOrder: ["before"] };
  if (changed) for (const block of blocks) encoder.stored({ ...block, spec: old }, take);
  encoder.blocks(tables, blocks, take);
  for (const name of ["splits", "others"]) {
    encoder.list({ name, redistribution: "split", entries: [{ key: "k", value: Buffer.from(name) }] }, take);
  }
  encoder.restored(7, take);
  return counted;
}

test("a restore reads each entry once, and specs, lists and the restore's mark without reading entries", async () => {
  const count = 5000;
  const counted = await filled(count, false);
  const second = await open();
  const stored = await storedState("topic", counted, counted.turn);
  // The spec, and the first entry, which says that the spec is in use.
  expect(counted.recordsRead).toBe(2);
  await second.backend.restore(stored);
  expect([counted.recordsRead, second.table.size]).toEqual([2 + count, count]);
  expect(storedList("topic", counted, "others").map(({ value: bytes }) => Buffer.from(bytes).toString())).toEqual(["others"]);
  expect(storedList("topic", counted, "splits").map(({ value: bytes }) => Buffer.from(bytes).toString())).toEqual(["splits"]);
  expect(restoredGeneration(counted)).toBe(7);
  expect(counted.recordsRead).toBe(2 + count + 3);
});

test("others have their turn after each piece of a restore", async () => {
  const counted = await filled(10_000, true);
  const second = await open();
  const stored = await storedState("topic", counted, counted.turn);
  // Two specs: entries are looked at until both were seen, and the older one never is.
  expect([stored.tables.length, counted.turns > 4]).toEqual([1, true]);
  await second.backend.restore(stored);
  expect([second.table.size, counted.recordsRead]).toEqual([10_000, 20_002]);
  expect(counted.mostBytesWithoutTurn).toBeLessThan(300 * 1024);
});

test("a restore that is given up ends at the next piece", async () => {
  const counted = await filled(5000, false);
  const second = await open();
  const stored = await storedState("topic", counted, () => Promise.reject(new Error("given up")));
  await expect(second.backend.restore(stored)).rejects.toThrow("given up");
  expect(counted.recordsRead).toBeLessThan(2 + 5000);
});
