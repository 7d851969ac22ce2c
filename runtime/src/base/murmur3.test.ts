// The hash against published test vectors and against itself over bytes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { murmur3, murmur3Integer, murmur3Word64 } from "./murmur3.ts";

const hash = (text: string, seed = 0): number => {
  const bytes = Buffer.from(text);
  return murmur3(bytes, 0, bytes.length, seed) >>> 0;
};

describe("murmur3", () => {
  // Vectors of the SMHasher reference implementation as collected on Wikipedia and in its test suites.
  test.each([
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["test", 0, 0xba6bd213],
    ["test", 0x9747b28c, 0x704b81dc],
    ["Hello, world!", 0, 0xc0363e43],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
    ["The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723],
    ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ])("of %j with seed %i", (text, seed, expected) => {
    expect(hash(text, seed)).toBe(expected);
  });

  test("of a word equals that of its bytes", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(value);
        expect(murmur3Word64(bytes.readInt32LE(0), bytes.readInt32LE(4))).toBe(murmur3(bytes, 0, 8));
      }),
    );
  });

  test("of a safe integer equals that of its bytes", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(BigInt(value));
        expect(murmur3Integer(value)).toBe(murmur3(bytes, 0, 8));
      }),
    );
  });

  test("of a range ignores what is around it", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (before, middle, after) => {
        const all = Buffer.concat([before, middle, after]);
        expect(murmur3(all, before.length, before.length + middle.length)).toBe(murmur3(middle, 0, middle.length));
      }),
    );
  });
});
