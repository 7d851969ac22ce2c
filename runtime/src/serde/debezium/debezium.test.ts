// Debezium events: every op, with and without schema, in any spelling, and what is refused.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { Rows, noTime, rowKind } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { date, int32, int64, list, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { blockOf, rowAt } from "../json/decoder-check.suite.ts";
import { debezium } from "./debezium.ts";

const customers = schema({ id: int64(), name: string().nullable(), born: date().optional(), tags: list(int32()).default([]) });
const format = debezium(customers);

interface Change {
  readonly kind: number;
  readonly row: Record<string, unknown>;
  readonly timeMs: number;
  readonly position: number;
}

async function decode(
  documents: readonly string[],
  change: (records: RawRecords) => RawRecords = (records) => records,
): Promise<{ changes: Change[]; bad: string[] }> {
  const decoder = await format.openDecoder();
  const records = change(
    blockOf(
      documents.map((document) => Buffer.from(document)),
      1,
      300,
    ),
  );
  const rows = new Rows(customers, 1);
  const selection = new Int32Array(records.count * 2);
  const bad: string[] = [];
  const count = decoder.decode(records, rows, selection, (index, code, reason) => bad.push(`${index} ${code} ${reason}`));
  const changes = [...selection.subarray(0, count)].map((row) => ({
    kind: rows.kindOf(row),
    row: rowAt(rows, row),
    timeMs: rows.times[row] as number,
    position: rows.origin?.position[row] as number,
  }));
  return { changes, bad };
}

const before = { id: 7, name: "Ann", born: 19_000, tags: [1] };
const after = { ...before, name: "Anné" };
const rowBefore = { ...before, id: 7n };
const rowAfter = { ...after, id: 7n };
const event = (op: string, parts: object): object => ({
  ...parts,
  source: { db: "x", ts_ms: 1000, lsn: 5 },
  op,
  ts_ms: 2000,
  transaction: null,
});

describe("Debezium format", () => {
  it("gives rows with kinds, times and positions", async () => {
    const events = [
      event("c", { before: null, after: before }),
      event("r", { before: null, after: before }),
      event("u", { before, after }),
      event("d", { before: after, after: null }),
    ];
    for (const wrap of [(one: object) => one, (one: object) => ({ schema: { type: "struct", fields: [{ field: "op" }] }, payload: one })]) {
      const { changes, bad } = await decode(events.map((one) => JSON.stringify(wrap(one))));
      expect(bad).toEqual([]);
      expect(changes).toEqual([
        { kind: rowKind.insert, row: rowBefore, timeMs: 1000, position: 0 },
        { kind: rowKind.insert, row: rowBefore, timeMs: 1000, position: 1 },
        { kind: rowKind.updateBefore, row: rowBefore, timeMs: 1000, position: 2 },
        { kind: rowKind.updateAfter, row: rowAfter, timeMs: 1000, position: 2 },
        { kind: rowKind.delete, row: rowAfter, timeMs: 1000, position: 3 },
      ]);
    }
  });

  it("drops tombstones without calling them bad", async () => {
    const { changes, bad } = await decode([JSON.stringify(event("d", { before, after: null })), ""], (records) => ({
      ...records,
      valueStart: Int32Array.of(records.valueStart[0] as number, -1),
    }));
    expect(bad).toEqual([]);
    expect(changes.map(({ kind }) => kind)).toEqual([rowKind.delete]);
  });

  it("takes the event's own time where the source gives none, then the record's", async () => {
    const times = [
      { source: { ts_ms: 5 }, ts_ms: 6 },
      { source: { ts_ms: null }, ts_ms: 6 },
      { source: null, ts_ms: 6 },
      { ts_ms: null },
      {},
    ];
    const documents = times.map((time) => JSON.stringify({ op: "c", after: before, ...time }));
    const { changes } = await decode(documents, (records) => ({ ...records, timestampMs: Float64Array.of(1, 2, 3, 4, Number.NaN) }));
    expect(changes.map(({ timeMs }) => timeMs)).toEqual([5, 6, 6, 4, noTime]);
  });

  it("refuses a record as a whole, once, and says what is wrong", async () => {
    const { changes, bad } = await decode([
      JSON.stringify(event("u", { before: null, after })),
      JSON.stringify(event("u", { before: { id: "x" }, after: { id: "y" } })),
      JSON.stringify(event("u", { before, after: { name: null } })),
      JSON.stringify(event("t", { before: null, after: null })),
      JSON.stringify(event("c", { after: [1] })),
      "{}",
      "{",
      JSON.stringify(event("c", { after: before })),
    ]);
    expect(changes.map(({ position }) => position)).toEqual([7]);
    expect(bad.map((line) => line.replace(/JSON: .*/, "JSON")).sort()).toEqual([
      '0 RECORD_MISFIT an event with op "u" has no image before the change; have the database log whole rows (PostgreSQL: REPLICA IDENTITY FULL; MySQL: binlog_row_image=FULL)',
      '1 RECORD_MISFIT before: field "id" is "x", not an integer',
      '2 RECORD_MISFIT after: field "id" is missing',
      '3 RECORD_MISFIT an event with op "t" changes no row',
      "4 RECORD_MISFIT after: the record is an array, not an object",
      '5 RECORD_MISFIT an event with op "" changes no row',
      "6 RECORD_UNPARSABLE the record is not JSON",
    ]);
  });

  it("reads events in any spelling that JSON allows", async () => {
    const big = "9007199254740993";
    const { changes, bad } = await decode([
      ` { "\\u006fp" : "c" , "after":{"id":${big},"name":null} , "ts_ms":1e3 } `,
      `{"op":"d","op":"c","after":{"id":1},"after":{"id":${big},"name":null},"source":{"ts_ms":1,"ts_ms":2}}`,
      `{"op":"c","after":{"name":"x","name":null,"id":${big}},"ts_ms":7}`,
    ]);
    expect(bad).toEqual([]);
    const row = { id: 9007199254740993n, name: null, tags: [] };
    expect(changes.map(({ row: one, timeMs }) => [one, timeMs])).toEqual([
      [row, 1000],
      [row, 2],
      [row, 7],
    ]);
  });

  it("reads back what it writes", async () => {
    const row = fc.record({
      id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      name: fc.option(fc.string()),
      tags: fc.array(fc.integer()),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(row, fc.nat(3)), { maxLength: 6 }), async (entries) => {
        const rows = new Rows(customers, 8);
        rows.ready.fill(1);
        entries.forEach(([object, kind], index) => {
          rowWriter(customers)(rows, index, object);
          rows.setKind(index, kind as 0);
        });
        const encoder = await format.openEncoder(customers);
        const documents = entries.map((_, index) => {
          const writer = new ByteWriter(1);
          encoder.encode(rows, index, writer);
          return writer.copy().toString();
        });
        const { changes, bad } = await decode(documents);
        expect(bad).toEqual([]);
        expect(changes.map(({ row: one, kind }) => [one, kind])).toEqual(
          entries.map(([one, kind]) => [one, kind === 1 || kind === 3 ? rowKind.delete : rowKind.insert]),
        );
      }),
    );
  });
});
