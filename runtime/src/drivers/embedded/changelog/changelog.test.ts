// What a changelog keeps of a table is the table: after any changes, captured at any moments, compacted anywhere.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { Batch, Rows, identitySelection } from "../../../core/batch/batch.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { KeyReader } from "../../../core/keys/key-batch.ts";
import { keyLayout } from "../../../core/keys/key-layout.ts";
import type { KeyedStateBackend } from "../../../core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedTable, Timers } from "../../../core/ports/state.ts";
import { int53, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { ChangelogEncoder } from "./changelog-codec.ts";
import { MemoryCopy, storedList, storedState } from "./changelog-copy.ts";

const Keyed = schema({ key: string() });
const layout = keyLayout(Keyed, ["key"]);
const value = schema({ n: int53() });

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
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

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
      await second.backend.restore(storedState("topic", copy));
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

test("a foreign record is refused by the topic's name", () => {
  const copy = new MemoryCopy();
  copy.apply(Buffer.from([1, 200, 1]), Buffer.from("not ours"));
  expect(() => storedState("app-count-changelog", copy)).toThrow(/changelog topic app-count-changelog/);
});
