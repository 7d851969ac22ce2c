// Frames: what goes in comes out, in order, whatever the schema; and bytes that are no frame are refused by a code.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { casesOf } from "../../../../../test/reference/random.ts";
import { isMillraceError } from "../../../base/errors.ts";
import { Batch, Rows } from "../../../core/batch/batch.ts";
import { rowObject, rowView } from "../../../core/batch/row-view.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { randomRows } from "../../../core/codec/random-rows.suite.ts";
import { int32, int64, list, string } from "../../../core/schema/field.ts";
import { type Schema, schema } from "../../../core/schema/schema.ts";
import { decodeBarrier, decodeCredit, encodeBarrier, encodeCredit } from "./control.ts";
import { defaultFrameLimits, FrameBuilder } from "./frame-builder.ts";
import { FrameReader, frameChannel, frameCredit, frameKindOf } from "./frame-reader.ts";
import { frameKind, markKind } from "./layout.ts";

type Row = Readonly<Record<string, unknown>>;

interface Given {
  readonly rows: Rows;
  readonly selected: readonly number[];
}

const allFields = (of: Schema): readonly number[] => of.fields.map((field) => field.index);

function rowsOf(of: Schema, values: readonly Row[], kinds: readonly number[]): Rows {
  const rows = new Rows(of, Math.max(1, values.length));
  rows.ready.fill(1);
  for (const [index, value] of values.entries()) {
    // A field of type any that must be there cannot be undefined.
    const whole = Object.fromEntries(
      of.fields.map(({ name, spec }) => [name, value[name] ?? (spec.type.kind === "any" && !spec.optional ? null : value[name])]),
    );
    rowWriter(of)(rows, index, whole);
    rows.times[index] = index % 3 === 0 ? -Infinity : index * 1000 + 0.5;
    rows.setKind(index, (kinds[index] ?? 0) as 0);
  }
  rows.size = values.length;
  return rows;
}

// Text as byte ranges, as decoders leave it, in place of strings.
function withRanges(rows: Rows): Rows {
  for (const column of rows.columns) {
    if (column.kind !== "text") continue;
    const texts = Array.from({ length: rows.size }, (_, row) =>
      column.nulls !== null && column.nulls[row] !== 0 ? "" : column.getText(row),
    );
    const parts = texts.map((text) => Buffer.from(`!${text}`));
    column.bytes = Buffer.concat(parts);
    let at = 0;
    for (const [row, part] of parts.entries()) {
      column.starts[row] = at + 1;
      at += part.length;
      column.ends[row] = at;
    }
    column.texts = [];
  }
  return rows;
}

const listed = (batch: Batch): readonly unknown[] => {
  const view = rowView<Row>(batch.rows.schema as Schema<Row>);
  return Array.from({ length: batch.count }, (_, k) => {
    const row = batch.selection[k] as number;
    return [rowObject(batch, row, view), batch.rows.times[row], batch.rows.kindOf(row)];
  });
};

function send(builder: FrameBuilder, batches: readonly Given[], channel: number): ArrayBuffer[] {
  const frames: ArrayBuffer[] = [];
  for (const [index, { rows, selected }] of batches.entries()) {
    const batch = new Batch(rows, Int32Array.from(selected), selected.length);
    for (let from = 0; from < batch.count; ) {
      from = builder.take(batch, from);
      if (builder.isFull) frames.push(builder.build(channel));
    }
    builder.mark(markKind.watermark, index);
  }
  if (!builder.isEmpty) frames.push(builder.build(channel));
  return frames;
}

function received(reader: FrameReader, frames: readonly ArrayBuffer[]): readonly unknown[] {
  const found: unknown[] = [];
  for (const frame of frames) {
    reader.read(frame, { rows: (batch) => found.push(...listed(batch)), mark: (kind, timeMs) => found.push({ kind, timeMs }) });
  }
  return found;
}

const wide = schema({ a: int32(), b: int64(), c: string().nullable(), d: list(int32()).optional() });
const sample: readonly Row[] = [
  { a: 1, b: 2n ** 60n, c: "x", d: [1, 2] },
  { a: -5, b: 7n, c: null },
  { a: 0, b: -(2n ** 63n), c: "longer than a few bytes, é", d: [] },
];

function sampleFrame(): ArrayBuffer {
  const builder = new FrameBuilder(wide, allFields(wide), defaultFrameLimits);
  return send(builder, [{ rows: rowsOf(wide, sample, [0, 1, 2]), selected: [0, 1, 2] }], 3)[0] as ArrayBuffer;
}

// Reads every value as it lies there: a damaged number is another number.
function touch({ rows, selection, count }: Batch): void {
  for (let k = 0; k < count; k++) {
    const row = selection[k] as number;
    expect(rows.column(0).numbers[row]).toBeTypeOf("number");
    expect(rows.column(1).exact?.get(row) ?? rows.column(1).numbers[row]).toBeDefined();
    expect(rows.column(2).getText(row)).toBeTypeOf("string");
    expect(rows.column(3).objects.length).toBe(rows.size);
  }
}

describe("frames", () => {
  test("rows and marks of any schema come out as they went in, and the code stays right when it is optimised", () => {
    const cases = randomRows(40).chain((of) =>
      fc.record({
        of: fc.constant(of),
        kinds: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: of.rows.length }),
        batches: fc.array(fc.subarray(of.rows.map((_, index) => index)), { maxLength: 4 }),
        ranges: fc.boolean(),
        frameBytes: fc.constantFrom(1, 200, 65_536),
        frameRows: fc.constantFrom(1, 7, 4096),
      }),
    );
    fc.assert(
      fc.property(cases, ({ of, kinds, batches, ranges, frameBytes, frameRows }) => {
        const rows = rowsOf(of.schema, of.rows, kinds);
        const before = batches.map((selected) => listed(new Batch(rows, Int32Array.from(selected), selected.length)));
        const given = ranges ? withRanges(rows) : rows;
        const builder = new FrameBuilder(of.schema, allFields(of.schema), { frameBytes, frameRows });
        const frames = send(
          builder,
          batches.map((selected) => ({ rows: given, selected })),
          5,
        );
        const expected = before.flatMap((some, index) => [...some, { kind: markKind.watermark, timeMs: index }]);
        const reader = new FrameReader(of.schema, allFields(of.schema));
        expect(received(reader, frames)).toEqual(expected);
        // A reader is used again for every frame.
        expect(received(reader, frames)).toEqual(expected);
      }),
      { numRuns: 1500 },
    );
  });

  test("columns that the receiver does not read are not sent, and say so when somebody reads them", () => {
    const builder = new FrameBuilder(wide, [0, 2], defaultFrameLimits);
    const frames = send(builder, [{ rows: rowsOf(wide, sample, []), selected: [2, 0] }], 1);
    const reader = new FrameReader(wide, [0, 2]);
    const seen: unknown[] = [];
    reader.read(frames[0] as ArrayBuffer, {
      rows: ({ rows, count }) => {
        for (let row = 0; row < count; row++) seen.push(rows.column(0).numbers[row], rows.column(2).getText(row));
        expect(() => rows.column(1)).toThrow("column b was not sent");
        expect(() => rows.column(3)).toThrow("column d was not sent");
      },
      mark() {},
    });
    expect(seen).toEqual([0, "longer than a few bytes, é", 1, "x"]);
  });

  test("marks keep their place between rows, and marks alone cost no credit", () => {
    const builder = new FrameBuilder(wide, allFields(wide), defaultFrameLimits);
    const rows = rowsOf(wide, sample, []);
    builder.mark(markKind.active, 0);
    builder.take(new Batch(rows), 0);
    builder.mark(markKind.watermark, 42);
    builder.take(new Batch(rows, Int32Array.of(1), 1), 0);
    builder.mark(markKind.idle, 0);
    const frame = builder.build(9);
    expect([frameKindOf(frame), frameChannel(frame), frameCredit(frame)]).toEqual([frameKind.rows, 9, frame.byteLength]);
    const seen: unknown[] = [];
    new FrameReader(wide, allFields(wide)).read(frame, {
      rows: ({ count }) => seen.push(count),
      mark: (kind, timeMs) => seen.push([kind, timeMs]),
    });
    expect(seen).toEqual([[markKind.active, 0], 3, [markKind.watermark, 42], 1, [markKind.idle, 0]]);
    builder.mark(markKind.watermark, 1);
    expect(frameCredit(builder.build(9))).toBe(0);
  });

  test("a frame that was cut short is refused at every length", () => {
    const frame = sampleFrame();
    for (let length = 0; length < frame.byteLength; length++) {
      const read = (): void => new FrameReader(wide, allFields(wide)).read(frame.slice(0, length), { rows() {}, mark() {} });
      expect(read, `${length} bytes`).toThrow("exchange:");
    }
  });

  test("damaged bytes give a coded error or other values, never anything else", () => {
    const whole = sampleFrame();
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.byteLength - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        (damage) => {
          const frame = whole.slice(0);
          for (const [at, byte] of damage) new Uint8Array(frame)[at] = byte;
          try {
            new FrameReader(wide, allFields(wide)).read(frame, { rows: touch, mark() {} });
          } catch (error) {
            refused++;
            expect(isMillraceError(error, "EXCHANGE_FRAME_CORRUPT"), String(error)).toBe(true);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(casesOf(300));
  });

  test("barriers and credit come back as they were sent, and damaged ones are refused", () => {
    const barrier = { checkpointId: 2 ** 40, ageMs: 12.5, drain: true };
    expect(decodeBarrier(encodeBarrier(7, barrier))).toEqual(barrier);
    expect(decodeCredit(encodeCredit(7, 123_456_789_012))).toBe(123_456_789_012);
    expect(() => decodeBarrier(encodeCredit(7, 1))).toThrow("exchange:");
    expect(() => decodeCredit(encodeBarrier(7, barrier))).toThrow("exchange:");
    expect(() => decodeBarrier(encodeBarrier(7, { ...barrier, checkpointId: -1 }))).toThrow("checkpoint -1");
  });
});
