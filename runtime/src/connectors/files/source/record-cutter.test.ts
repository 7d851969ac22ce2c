// Cutting against a plain reference: any bytes, any block size, any short reads, cut anywhere and resumed.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Signal } from "../../../base/signal.ts";
import type { ByteStream } from "../store/file-store.ts";
import { BlockFeed, type FeedSizes } from "./block-feed.ts";
import { RecordCutter } from "./record-cutter.ts";

interface Cut {
  readonly text: string;
  readonly position: number;
}

interface Case {
  readonly content: string;
  readonly quoted: boolean;
  readonly byLine: boolean;
  readonly sizes: FeedSizes;
  readonly shortReads: readonly number[];
  readonly most: number;
  readonly maxRecordBytes: number;
}

/** The records of a text by the rules, the simple way. */
function reference({ content, quoted, byLine, maxRecordBytes }: Case): { readonly records: Cut[]; readonly long: number[] } {
  const bytes = Buffer.from(content);
  const records: Cut[] = [];
  const long: number[] = [];
  let number = 0;
  let start = bytes.subarray(0, 3).equals(Buffer.from("\ufeff")) ? 3 : 0;
  while (start < bytes.length) {
    let end = start;
    let within = false;
    while (end < bytes.length && (within || bytes[end] !== 10)) {
      if (quoted && bytes[end] === 34) within = !within;
      end++;
    }
    const position = byLine ? number : start;
    const stop = end > start && bytes[end - 1] === 13 ? end - 1 : end;
    if (end - start > maxRecordBytes) long.push(position);
    else if (stop > start) records.push({ text: bytes.toString("utf8", start, stop), position });
    start = end + 1;
    number++;
  }
  return { records, long };
}

function streamOf(bytes: Buffer, from: number, shortReads: readonly number[]): ByteStream {
  let next = from;
  let turn = 0;
  return {
    async read(target, at, length) {
      const short = shortReads[turn++ % shortReads.length] as number;
      const size = Math.min(length, short, bytes.length - next);
      bytes.copy(target, at, next, next + size);
      next += size;
      return size;
    },
    async close() {},
  };
}

/** Cuts from `position` on, up to `records` records; returns them, the long ones, and the position to go on at. */
async function cutFrom(
  sample: Case,
  position: number,
  records: number,
): Promise<{ readonly got: Cut[]; readonly long: number[]; readonly position: number; readonly ended: boolean }> {
  const bytes = Buffer.from(sample.content);
  const changed = new Signal();
  const offset = sample.byLine ? 0 : position;
  const feed = new BlockFeed(streamOf(bytes, offset, sample.shortReads), offset, false, () => changed.notify(), sample.sizes);
  const long: number[] = [];
  const cutter = new RecordCutter(feed, {
    maxRecordBytes: sample.maxRecordBytes,
    quoted: sample.quoted,
    byLine: sample.byLine,
    skipLines: sample.byLine ? position : 0,
    follow: false,
    onTooLong: (at) => long.push(at),
  });
  const got: Cut[] = [];
  while (got.length < records && !cutter.ended) {
    const count = cutter.cut(Math.min(sample.most, records - got.length));
    for (let i = 0; i < count; i++) {
      got.push({ text: feed.window.toString("utf8", cutter.starts[i], cutter.ends[i]), position: cutter.positions[i] as number });
    }
    if (count === 0 && !cutter.ended) await changed.next();
  }
  await feed.close();
  return { got, long, position: cutter.position, ended: cutter.ended };
}

const cases: fc.Arbitrary<Case> = fc.record({
  content: fc
    .array(fc.constantFrom("a", "bc", "\n", "\n\n", "\r\n", '"', '""', ",", "\u00e9", "\ufeff", "long text of some length"), {
      maxLength: 60,
    })
    .map((parts) => parts.join("")),
  quoted: fc.boolean(),
  byLine: fc.boolean(),
  sizes: fc.record({ blockBytes: fc.integer({ min: 1, max: 40 }), headroomBytes: fc.integer({ min: 0, max: 20 }) }),
  shortReads: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
  most: fc.integer({ min: 1, max: 7 }),
  maxRecordBytes: fc.constantFrom(5, 20, 1000),
});

test("cuts any text into the same records as a plain reading", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (sample) => {
      const whole = await cutFrom(sample, 0, Number.POSITIVE_INFINITY);
      const expected = reference(sample);
      expect(whole.got).toEqual(expected.records);
      expect(whole.long).toEqual(expected.long);
    }),
    { numRuns: 1000 },
  );
});

test("goes on at any position as if it had never stopped", async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }), async (sample, stops) => {
      const expected = reference(sample);
      const got: Cut[] = [];
      const long: number[] = [];
      let position = 0;
      for (let life = 0, ended = false; !ended && life < 200; life++) {
        const part = await cutFrom(sample, position, stops[life % stops.length] as number);
        got.push(...part.got);
        long.push(...part.long);
        position = part.position;
        ended = part.ended;
      }
      expect(got).toEqual(expected.records);
      expect(long).toEqual(expected.long);
    }),
    { numRuns: 500 },
  );
});
