// The two ends of a repartition topic: rows keep their order by key, and no row comes behind a watermark that it would be late for.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import { Batch, Rows, identitySelection, type RowKind } from "../../../core/batch/batch.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { rowCodec } from "../../../core/codec/row-codec.ts";
import { rowView } from "../../../core/batch/row-view.ts";
import { int53, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { FrameBuilder, type FrameHead, readFrameHead, readFrameRows } from "./frame-codec.ts";

const Row = schema({ key: string(), n: int53(), note: string().nullable() });

interface Given {
  readonly key: string;
  readonly n: number;
  readonly note: string | null;
  readonly timeMs: number;
  readonly kind: RowKind;
}
const row = fc.record({
  key: fc.string({ maxLength: 12 }),
  n: fc.maxSafeInteger(),
  note: fc.option(fc.string({ maxLength: 40 })),
  timeMs: fc.oneof(fc.constant(-Infinity), fc.integer({ min: 0, max: 2e12 })),
  kind: fc.constantFrom<RowKind>(0, 1, 2, 3),
});

function batchOf(given: readonly Given[]): Batch {
  const rows = new Rows(Row, Math.max(1, given.length));
  rows.ready.fill(1);
  given.forEach(({ timeMs, kind, ...value }, index) => {
    rows.size = index + 1;
    rows.times[index] = timeMs;
    rows.setKind(index, kind);
    rowWriter(Row)(rows, index, value);
  });
  return new Batch(rows, identitySelection(rows.size), rows.size);
}

function frame(given: readonly Given[], upstream: number, watermarkMs: number, idle: boolean): Buffer {
  const builder = new FrameBuilder(Row, new ByteWriter(16));
  const batch = batchOf(given);
  for (let k = 0; k < batch.count; k++) builder.append(batch, k);
  const writer = new ByteWriter(16);
  builder.finish(writer, upstream, watermarkMs, idle);
  expect([builder.rowCount, builder.sizeBytes]).toEqual([0, 0]);
  return writer.copy();
}

describe("frames", () => {
  test("bring back rows, times and kinds, and what they say of event time", () => {
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 30 }),
        fc.nat({ max: 500 }),
        fc.oneof(fc.constant(-Infinity), fc.integer()),
        fc.boolean(),
        (given, upstream, watermarkMs, idle) => {
          const reader = new ByteReader(frame(given, upstream, watermarkMs, idle));
          const head: FrameHead = { upstream: 0, watermarkMs: 0, idle: false, rowCount: 0, marker: 0 };
          readFrameHead(reader, head);
          expect(head).toEqual({ upstream, watermarkMs, idle, rowCount: given.length, marker: 0 });
          const rows = new Rows(Row, 1);
          rows.ready.fill(1);
          readFrameRows(reader, head, rowCodec(Row), rows);
          expect(reader.remaining).toBe(0);
          const view = rowView<{ key: string; n: number; note: string | null }>(Row);
          const seen = Array.from({ length: rows.size }, (_, index) => {
            view.point(rows, index);
            return { key: view.key, n: view.n, note: view.note, timeMs: rows.times[index], kind: rows.kindOf(index) };
          });
          expect(seen).toEqual(given);
        },
      ),
    );
  });

  test("that are damaged are refused, whatever the damage", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.nat(), (given, cut) => {
        const bytes = frame(given, 3, 17, false);
        const reader = new ByteReader(bytes.subarray(0, cut % bytes.length));
        const head: FrameHead = { upstream: 0, watermarkMs: 0, idle: false, rowCount: 0, marker: 0 };
        const rows = new Rows(Row, 1);
        rows.ready.fill(1);
        const read = (): void => {
          readFrameHead(reader, head);
          readFrameRows(reader, head, rowCodec(Row), rows);
        };
        expect(read).toThrow(RangeError);
      }),
    );
  });
});
