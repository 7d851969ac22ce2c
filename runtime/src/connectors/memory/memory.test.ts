// The memory connectors against the published contract, and what only they can do.
import { expect, test } from "vitest";
import { MillraceError } from "../../base/errors.ts";
import { Batch, rowKind } from "../../core/batch/batch.ts";
import { int32, int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { sinkContract, type SinkRow, sourceContract } from "../contract/index.ts";
import { contractContext } from "../contract/suite.ts";
import { memoryRecords, memorySink, memorySource, values } from "./index.ts";

const numbered = schema({ id: int32(), name: string().nullable() });
const rowOf = (id: number): { id: number; name: string | null } => ({ id, name: id % 3 === 0 ? null : `n${id}` });
const ids = (split: number): number[] => Array.from({ length: 5 + split }, (_, i) => split * 100 + i);
const boom = new MillraceError("BOOM", "memory", "was broken by the test", "nothing");

sourceContract(test, {
  name: "values",
  open: async () => {
    const rows = Array.from({ length: 17 }, (_, id) => rowOf(id));
    const records = new Map(
      [0, 1, 2].map((split) => [`values-${split}`, rows.filter((_, i) => i % 3 === split).map((row) => JSON.stringify(row))]),
    );
    return { source: values(numbered, rows, { splits: 3 }).source, records, dispose: async () => {} };
  },
});

sourceContract(test, {
  name: "memory source, bounded",
  open: async () => {
    const source = memorySource(numbered, { splits: ["a", "b", "c"] });
    const records = new Map<string, string[]>();
    for (const [split, id] of source.splitIds.entries()) {
      for (const row of ids(split).map(rowOf)) source.push(row, { split: id });
      records.set(
        id,
        ids(split).map((n) => JSON.stringify(rowOf(n))),
      );
    }
    source.end();
    return { source, records, dispose: async () => {} };
  },
  failures: [
    {
      name: "a source that was made to fail",
      code: "BOOM",
      open: async () => {
        const source = memorySource(numbered);
        source.fail(boom);
        return source;
      },
    },
  ],
});

sourceContract(test, {
  name: "memory records, unbounded",
  open: async () => {
    const source = memoryRecords({ splits: 2, bounded: false });
    const records = new Map<string, string[]>();
    const fill = (id: string, from: number): string[] => {
      const texts = Array.from({ length: 6 }, (_, i) => `${id}:${from + i}`);
      for (const text of texts) source.push({ key: `k${text}`, value: text }, id);
      return texts;
    };
    for (const id of source.splitIds) records.set(id, fill(id, 0));
    return {
      source,
      records,
      addSplit: async () => {
        source.addSplit("late");
        return { id: "late", records: fill("late", 0) };
      },
      addRecords: async (id) => fill(id, 100),
      dispose: async () => {},
    };
  },
});

for (const delivery of ["exactly-once", "at-least-once"] as const) {
  sinkContract(test, {
    name: `memory sink, ${delivery}`,
    open: async () => {
      const sink = memorySink<SinkRow>({ delivery });
      return { sink: () => sink, visible: async () => sink.rows, dispose: async () => {} };
    },
    failures: [
      {
        name: "a sink that was made to fail",
        code: "BOOM",
        open: async () => {
          const sink = memorySink({ delivery });
          sink.fail(boom);
          return sink;
        },
      },
    ],
    randomLives: 200,
  });
}

test("pushed rows keep their time and kind, records their key, headers and timestamp", async () => {
  const source = memorySource(numbered);
  source.push(rowOf(1), { timeMs: 7, kind: rowKind.delete });
  const reader = await source.openReader();
  reader.assign([{ id: "split-0", position: 0 }]);
  const block = reader.poll(10);
  if (block?.kind !== "rows") throw new Error("no rows");
  expect([block.rows.times[0], block.rows.kindOf(0)]).toEqual([7, rowKind.delete]);

  const records = memoryRecords();
  records.push({ key: null, value: "v", timestampMs: 9, headers: [["h", null]] });
  records.push({ key: "k", value: null });
  const recordReader = await records.openReader();
  recordReader.assign([{ id: "split-0", position: 0 }]);
  const raw = recordReader.poll(10);
  if (raw?.kind !== "raw") throw new Error("no records");
  const { keyStart, valueStart, timestampMs, headersOf } = raw.records;
  expect([keyStart[0], (valueStart[0] as number) >= 0, timestampMs[0], headersOf?.(0)]).toEqual([-1, true, 9, [["h", null]]]);
  expect([(keyStart[1] as number) >= 0, valueStart[1], timestampMs[1], headersOf?.(1)]).toEqual([true, -1, Number.NaN, []]);
});

test("misuse is told by code", () => {
  const code = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      return error instanceof MillraceError ? error.code : String(error);
    }
    return "none";
  };
  const source = memorySource(schema({ id: int53() }));
  expect(code(() => source.push({ id: 0.5 }))).toBe("ROW_INVALID");
  expect(code(() => values(schema({ id: int53() }), [{ id: 2 ** 60 }]))).toBe("ROW_INVALID");
  expect(code(() => source.push({ id: 1 }, { split: "x" }))).toBe("MEMORY_SPLIT_MISSING");
  expect(code(() => source.addSplit("x"))).toBe("MEMORY_SPLIT_FIXED");
  source.end();
  expect(code(() => source.push({ id: 1 }))).toBe("MEMORY_SPLIT_ENDED");
  expect(code(() => memorySource(numbered, { spilts: 1 } as object))).toBe("OPTION_UNKNOWN");
  expect(code(() => values(numbered, [], { splits: 0 }))).toBe("OPTION_INVALID");
});

test("the table of a memory sink is what the changelog leaves", async () => {
  const sink = memorySink<{ id: number; name: string | null }>();
  const source = memorySource(numbered);
  const change = (id: number, kind: 0 | 1 | 2 | 3): void => source.push(rowOf(id), { kind });
  change(1, rowKind.insert);
  change(2, rowKind.insert);
  change(2, rowKind.insert);
  change(1, rowKind.updateBefore);
  change(4, rowKind.updateAfter);
  change(2, rowKind.delete);
  const reader = await source.openReader();
  reader.assign([{ id: "split-0", position: 0 }]);
  const block = reader.poll(100);
  if (block?.kind !== "rows") throw new Error("no rows");
  const writer = await sink.openWriter({ ...contractContext(), parallelism: 1, checkpointIntervalMs: 1000 }, numbered);
  writer.write(new Batch(block.rows));
  await writer.prepare(1);
  await writer.commit(1);
  expect(sink.table).toEqual([rowOf(2), rowOf(4)]);
});

test("a memory sink publishes a transaction of any size", async () => {
  const sink = memorySink<number>();
  const rows = Array.from({ length: 300_000 }, (_, row) => ({ row, kind: rowKind.insert, timeMs: 0, subtask: 0 }));
  sink.publish([sink.putAside(rows)]);
  expect(sink.written.length).toBe(300_000);
});
