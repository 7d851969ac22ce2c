// What a reader held to batches gives, and when it says that a split has begun or ended.
import { expect, test } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { memoryRecords } from "../../../connectors/memory/index.ts";
import type { RawRecords } from "../../../core/batch/raw-records.ts";
import type { SourceBatch, SourceReader } from "../../../core/ports/source.ts";
import { BatchReader } from "./batch-reader.ts";
import { holdBlock } from "./held-block.ts";

const limits = { maxRecords: 1000, maxBytes: 1_000_000, maxMs: 1000 };

function open(inner: SourceReader): Promise<BatchReader> {
  return BatchReader.open({ uid: "in", clock: systemClock, open: async () => inner, bounded: false, ends: () => undefined });
}

function texts(block: SourceBatch | null): readonly string[] {
  if (block?.kind !== "raw") return [];
  const { bytes, valueStart, valueEnd, count } = block.records;
  return Array.from({ length: count }, (_value, k) => Buffer.from(bytes.subarray(valueStart[k], valueEnd[k])).toString());
}

test("gives nothing before it is filled, then what was there, and its positions are those behind it", async () => {
  const source = memoryRecords({ splits: 1 });
  const reader = await open(await source.openReader());
  for (const value of ["a", "bb", ""]) source.push({ key: `k${value}`, value });
  reader.assign([{ id: "split-0", position: 0 }]);
  expect(reader.poll()).toBeNull();
  expect(reader.snapshot()).toEqual([{ id: "split-0", position: 0 }]);
  await reader.prepare(0);
  const { range, records } = await reader.readBatch(limits);
  source.push({ value: "later" });
  expect([records, range.counts, reader.isDrained]).toEqual([3, { "split-0": 3 }, false]);
  expect(texts(reader.poll())).toEqual(["a", "bb", ""]);
  expect([reader.poll(), reader.isDrained]).toEqual([null, true]);
  expect(reader.snapshot()).toEqual([{ id: "split-0", position: 3 }]);
  await reader.close();
});

test("a split has begun with its first block and ended behind its last, whose event time counts before that", async () => {
  const source = memoryRecords({ splits: ["a", "b"] });
  const inner = await source.openReader();
  const begun = ["a", "b"];
  inner.takeBegun = () => begun.splice(0, 1);
  const reader = await open(inner);
  source.push({ value: "1" }, "a");
  source.push({ value: "2" }, "b");
  source.end();
  reader.assign(["a", "b"].map((id) => ({ id, position: 0 })));
  await reader.prepare(0);
  await reader.readBatch(limits);
  expect(reader.open).toBe(0);
  expect(reader.takeFinished()).toEqual([]);
  expect(texts(reader.poll())).toEqual(["1"]);
  expect([reader.takeBegun?.(), reader.takeFinished()]).toEqual([["a"], []]);
  expect(texts(reader.poll())).toEqual(["2"]);
  expect([reader.takeBegun?.(), reader.takeFinished()]).toEqual([["b"], ["a"]]);
  expect([reader.isDrained, reader.poll(), reader.takeFinished(), reader.isDrained]).toEqual([false, null, ["b"], true]);
  await reader.close();
});

test("a split that waits for slower ones comes after them, and waits no longer when the batch has no more of theirs", async () => {
  const source = memoryRecords({ splits: ["fast", "slow"] });
  const reader = await open(await source.openReader());
  source.push({ value: "fast" }, "fast");
  source.push({ value: "slow" }, "slow");
  reader.assign(["fast", "slow"].map((id) => ({ id, position: 0 })));
  await reader.prepare(0);
  await reader.readBatch(limits);
  reader.setPaused("fast", true);
  expect([texts(reader.poll()), texts(reader.poll()), reader.poll()]).toEqual([["slow"], ["fast"], null]);
  await reader.close();
});

test("asks a source in which nothing waits all the same: it may have to let go of what it gave", async () => {
  const inner = await memoryRecords({ splits: 1 }).openReader();
  let polls = 0;
  const reader = await open(
    new Proxy(inner, {
      get: (target, name) => {
        if (name === "poll") polls++;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    }),
  );
  reader.assign([{ id: "split-0", position: 0 }]);
  await reader.prepare(0);
  await reader.readBatch(limits);
  expect(polls).toBe(1);
  await reader.close();
});

test("a held block is a copy of its own: ranges, absent keys, headers, and no more records than were asked for", () => {
  const bytes = Buffer.from("xxkey1value1__value2yy");
  const records: RawRecords = {
    ...{ splitId: "s", count: 3, bytes },
    keyStart: Int32Array.of(2, -1, -1),
    keyEnd: Int32Array.of(6, -1, -1),
    valueStart: Int32Array.of(6, 14, -1),
    valueEnd: Int32Array.of(12, 20, -1),
    timestampMs: Float64Array.of(1, 2, 3),
    position: Float64Array.of(10, 11, 12),
    headersOf: (index) => (index === 1 ? [["h", bytes.subarray(0, 2)]] : []),
  };
  const { block, records: count } = holdBlock({ kind: "raw", records }, 2);
  bytes.fill(0);
  expect(count).toBe(2);
  if (block.kind !== "raw") throw new Error("not raw");
  const held = block.records;
  expect([held.count, texts(block), held.bytes.length]).toEqual([2, ["value1", "value2"], 18]);
  expect([held.keyStart[1], Buffer.from(held.bytes.subarray(held.keyStart[0], held.keyEnd[0])).toString()]).toEqual([-1, "key1"]);
  expect([[...held.position], [...held.timestampMs]]).toEqual([
    [10, 11],
    [1, 2],
  ]);
  expect([held.headersOf?.(0), held.headersOf?.(1)]).toEqual([[], [["h", new Uint8Array([120, 120])]]]);
});
