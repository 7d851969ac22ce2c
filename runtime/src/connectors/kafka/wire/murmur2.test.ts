// The partitioner's hash against the client library's, which follows Java's, and against Java's own published examples.
import { murmur2 as independent } from "@platformatic/kafka";
import fc from "fast-check";
import { expect, it } from "vitest";
import { keyPartition, murmur2 } from "./murmur2.ts";

it("hashes as Kafka's UtilsTest expects", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  for (const [text, hash] of cases) expect(murmur2(Buffer.from(text), 0, text.length)).toBe(hash);
});

it("equals the client library's hash over any range", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8), (bytes, start) => {
      const data = Buffer.concat([Buffer.alloc(start, 7), Buffer.from(bytes)]);
      expect(murmur2(data, start, data.length)).toBe(independent(Buffer.from(bytes)) | 0);
      expect(keyPartition(data, start, data.length, 7)).toBeGreaterThanOrEqual(0);
    }),
  );
});
