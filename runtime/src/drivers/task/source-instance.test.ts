// Where a source's part of the latency comes from.
import { expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { Rows } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { RecordDecoder } from "../../core/ports/format.ts";
import type { SourceReader } from "../../core/ports/source.ts";
import { int32, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import { Fan } from "./edge.ts";
import { type SourceParts, SourceInstance } from "./source-instance.ts";

function batch(timestampMs: readonly number[]): RawRecords {
  const ranges = new Int32Array(timestampMs.length);
  return {
    splitId: "s",
    count: timestampMs.length,
    bytes: Buffer.alloc(1),
    keyStart: ranges,
    keyEnd: ranges,
    valueStart: ranges,
    valueEnd: ranges,
    timestampMs: Float64Array.from(timestampMs),
    position: new Float64Array(timestampMs.length),
  };
}

it("tells how old the oldest record of the latest batch was when it was read", () => {
  const clock = new ManualClock(10_000);
  const polled: RawRecords[] = [];
  const reader = {
    poll: () => {
      const records = polled.shift();
      return records === undefined ? null : { kind: "raw" as const, records };
    },
    takeFinished: () => [],
    assign: () => undefined,
  } as unknown as SourceReader;
  const decoder: RecordDecoder = { want: () => undefined, decode: () => 0 };
  const source = new SourceInstance({
    uid: "s",
    subtask: 0,
    body: { kind: "source", source: { bounded: false } },
    schema: schema({ a: int32() }),
    reader,
    decoder,
    output: new Fan(),
    clock,
    badRow: () => undefined,
    counters: { rowsIn: 0, rowsOut: 0 },
  } as unknown as SourceParts);
  polled.push(batch([9000, 9990]));
  source.step();
  expect(source.latency.recordAgeMs).toBe(1000);
  clock.advance(500);
  source.step();
  expect(source.latency.recordAgeMs).toBe(1000);
  polled.push(batch([10_493, 10_494]));
  source.step();
  expect(source.latency.recordAgeMs).toBe(7);
  // A connector without times, and a producer whose clock is ahead.
  polled.push(batch([Number.NEGATIVE_INFINITY]), batch([99_999]));
  source.step();
  expect(source.latency.recordAgeMs).toBe(7);
  source.step();
  expect(source.latency.recordAgeMs).toBe(0);
  expect(source.latency.batchMs).toBeGreaterThanOrEqual(0);
});

it("lets event time pass a split that has not begun only where splits follow each other in time", () => {
  const watermarksOf = (inTimeOrder: boolean): readonly number[] => {
    const rows = new Rows(schema({ at: timestamp() }), 1);
    const polls: readonly [id: string, timeMs: number, begun: readonly string[]][] = [
      ["first", 1000, ["first"]],
      ["second", 2000, ["second"]],
    ];
    let polled = 0;
    let begun: readonly string[] = [];
    const reader = {
      poll: () => {
        const [splitId, timeMs, ids] = polls[polled++] as (typeof polls)[number];
        begun = ids;
        rows.reset();
        rows.ready.fill(1);
        rows.ensure(1);
        rows.column(0).numbers[0] = timeMs;
        rows.size = 1;
        return { kind: "rows" as const, splitId, rows, firstPosition: 0 };
      },
      takeBegun: () => begun,
      takeFinished: () => (polled === 2 && inTimeOrder ? ["first"] : []),
      assign: () => undefined,
    } as unknown as SourceReader;
    const source = new SourceInstance({
      uid: "s",
      subtask: 0,
      body: { kind: "source", source: { bounded: true, inTimeOrder }, timeField: "at", watermarks: boundedOutOfOrderness(0) },
      schema: rows.schema,
      reader,
      output: new Fan(),
      clock: new ManualClock(0),
      badRow: () => undefined,
      counters: { rowsIn: 0, rowsOut: 0 },
    } as unknown as SourceParts);
    const splits = ["first", "second"].map((id) => ({ id, position: 0 }));
    source.assign(splits, new Map(), 0);
    return splits.map(() => {
      source.step();
      return source.watermarkMs;
    });
  };
  expect(watermarksOf(false)).toEqual([-Infinity, 999]);
  expect(watermarksOf(true)).toEqual([999, 1999]);
});
