// Frames come out whole however the bytes arrive.
import fc from "fast-check";
import { expect, it } from "vitest";
import { FramePool, FrameReceiver } from "./frames.ts";

it("cuts any stream of frames right, whatever the sizes of the reads", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 4, max: 60 }), fc.integer({ min: 15_000, max: 70_000 })), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 20 }),
      (sizes, reads) => {
        const frames = sizes.map((size, i) => Buffer.alloc(size, i + 1));
        const stream = Buffer.concat(
          frames.flatMap((frame) => {
            const head = Buffer.alloc(4);
            head.writeInt32BE(frame.length);
            return [head, frame];
          }),
        );
        const pool = new FramePool(1 << 20);
        const found: Buffer[] = [];
        const receiver = new FrameReceiver(pool, 1 << 20, (frame) => {
          found.push(Buffer.from(frame.buffer.subarray(0, frame.size)));
          pool.give(frame.buffer);
        });
        for (let at = 0, i = 0; at < stream.length; i++) {
          const target = receiver.target();
          const read = Math.min(target.length, reads[i % reads.length] as number, stream.length - at);
          expect(read).toBeGreaterThan(0);
          target.set(stream.subarray(at, at + read));
          receiver.received(read);
          at += read;
        }
        expect(found).toEqual(frames);
      },
    ),
  );
});

it("refuses a length that no answer has", () => {
  for (const size of [0, 3, -1, 1 << 21]) {
    const receiver = new FrameReceiver(new FramePool(), 1 << 20, () => undefined);
    const head = Buffer.alloc(4);
    head.writeInt32BE(size);
    receiver.target().set(head);
    expect(() => receiver.received(4)).toThrow(RangeError);
  }
});

it("uses large buffers again, up to its bound", () => {
  const pool = new FramePool(1 << 20);
  const first = pool.take(600_000);
  expect(first.length).toBe(1 << 20);
  pool.give(first);
  expect(pool.take(900_000)).toBe(first);
  pool.give(first);
  const newer = Buffer.alloc(1 << 20);
  pool.give(newer);
  expect(pool.take(900_000)).toBe(newer);
  expect(pool.take(900_000)).not.toBe(first);
});

it("serves answers of many sizes from the same few buffers", () => {
  const pool = new FramePool(1 << 23);
  const made = new Set<Buffer>();
  const sizes = [1 << 21, 700_000, 1_900_000, 600_000, 1_100_000, 530_000];
  for (let round = 0; round < 100; round++) {
    const [a, b] = [pool.take(sizes[round % 6] as number), pool.take(sizes[(round * 5 + 1) % 6] as number)];
    made.add(a).add(b);
    pool.give(a);
    pool.give(b);
  }
  expect(made.size).toBeLessThanOrEqual(4);
});

it("does not hand out a buffer many times larger than the frame", () => {
  const pool = new FramePool(1 << 24);
  pool.give(Buffer.allocUnsafeSlow(1 << 23));
  expect(pool.take(20_000).length).toBe(1 << 15);
});
