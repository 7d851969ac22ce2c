// Byte writer and reader: everything written comes back, wherever the writer has to grow.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "./bytes.ts";

type Step =
  | { readonly kind: "u8" | "u16" | "u32" | "i32" | "f64" | "varint" | "i64FromNumber"; readonly value: number }
  | { readonly kind: "i64"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: Uint8Array };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("u8" as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("u16" as const), value: fc.nat(65535) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant("i32" as const), value: fc.integer() }),
  fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
  fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("i64FromNumber" as const), value: fc.maxSafeInteger() }),
  fc.record({ kind: fc.constant("i64" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ kind: fc.constant("string" as const), value: fc.string({ unit: "grapheme", maxLength: 40 }) }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 50 }) }),
);

function write(writer: ByteWriter, { kind, value }: Step): void {
  if (kind === "i64") writer.i64(value);
  else if (kind === "string") writer.string(value);
  else if (kind === "bytes") writer.bytes(value);
  else writer[kind](value);
}

function read(reader: ByteReader, { kind }: Step): unknown {
  if (kind === "i64FromNumber") return Number(reader.i64());
  return kind === "bytes" ? new Uint8Array(reader.bytes()) : reader[kind]();
}

describe("byte writer and reader", () => {
  it("give back every sequence of values, from any initial size", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(64), (steps, initialBytes) => {
        const writer = new ByteWriter(initialBytes);
        for (const one of steps) write(writer, one);
        const reader = new ByteReader(writer.copy());
        for (const one of steps) expect(read(reader, one)).toStrictEqual(one.value);
        expect(reader.remaining).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("throw RangeError for a read past the end", () => {
    for (const kind of ["u8", "u16", "u32", "i32", "f64", "varint", "i64", "string", "bytes"] as const) {
      const behind = Buffer.alloc(100, 0xff);
      expect(() => new ByteReader(behind, 50, 50)[kind]()).toThrow(RangeError);
      if (kind !== "u8") expect(() => new ByteReader(behind, 99)[kind]()).toThrow(RangeError);
    }
  });
});
