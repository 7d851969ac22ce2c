// Varints against a plain encoder over 64-bit integers.
import fc from "fast-check";
import { expect, it } from "vitest";
import { VarintCursor, varint64Size, varintSize, writeVarint, writeVarint64 } from "./varint-cursor.ts";

function reference(value: bigint): Buffer {
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; raw > 0x7fn; raw >>= 7n) bytes.push(Number(raw & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(raw)]);
}

it("writes, measures and reads 32-bit integers as the reference does", () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.integer({ min: -200, max: 200 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1)), (value) => {
      const target = Buffer.alloc(8);
      const end = writeVarint(target, 1, value);
      expect(target.subarray(1, end)).toEqual(reference(BigInt(value)));
      expect(varintSize(value)).toBe(end - 1);
      const cursor = new VarintCursor(target);
      cursor.position = 1;
      expect([cursor.int32(), cursor.position]).toEqual([value, end]);
    }),
    { numRuns: 2000 },
  );
});

it("writes, measures and reads integers up to 2^52 as the reference does", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), fc.integer({ min: -(2 ** 33), max: 2 ** 33 }), fc.integer()),
      (value) => {
        const target = Buffer.alloc(12);
        const end = writeVarint64(target, 1, value);
        expect(target.subarray(1, end)).toEqual(reference(BigInt(value)));
        expect(varint64Size(value)).toBe(end - 1);
        const cursor = new VarintCursor(target);
        cursor.position = 1;
        expect([cursor.int64(), cursor.position]).toEqual([value, end]);
      },
    ),
    { numRuns: 2000 },
  );
});

it("reads any 64-bit integer as the nearest double, and ends after ten bytes of nonsense", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const cursor = new VarintCursor(reference(value));
      const read = cursor.int64();
      expect(Math.abs(read - Number(value))).toBeLessThanOrEqual(Math.abs(Number(value)) * 2 ** -50);
    }),
  );
  const cursor = new VarintCursor(new Uint8Array(64).fill(0xff));
  cursor.int64();
  expect(cursor.position).toBeLessThanOrEqual(10);
});
