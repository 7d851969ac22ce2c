// The shares of a process's memory stay below its limit, whatever that is.
import fc from "fast-check";
import { expect, it } from "vitest";
import { memoryLimit, shareMemory, unlimitedBytes } from "./memory-shares.ts";

const mebibyte = 1024 * 1024;

it("gives out less than the limit, and every part gets something", () => {
  fc.assert(
    fc.property(fc.integer({ min: 160 * mebibyte, max: 64 * 1024 * mebibyte }), (limit) => {
      const { limitBytes, processBytes, objectBytes, stateBytes, databaseBytes, bufferBytes } = shareMemory(limit);
      const parts = [processBytes, objectBytes, stateBytes, databaseBytes, bufferBytes];
      expect(limitBytes).toBe(limit);
      expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThan(limit);
      for (const part of parts) expect(part).toBeGreaterThan(8 * mebibyte);
    }),
  );
});

it("does not go below what a process needs", () => {
  expect(shareMemory(mebibyte)).toEqual(shareMemory(160 * mebibyte));
});

it("takes the container's limit, and a fixed size where there is none", () => {
  const machine = 24 * 1024 * mebibyte;
  expect(memoryLimit(300 * mebibyte, machine)).toBe(300 * mebibyte);
  // Without a cgroup limit the system says 0, or a number near 2^64.
  expect(memoryLimit(0, machine)).toBe(unlimitedBytes);
  expect(memoryLimit(2 ** 63, machine)).toBe(unlimitedBytes);
  expect(memoryLimit(machine, machine)).toBe(unlimitedBytes);
  expect(memoryLimit(0, 400 * mebibyte)).toBe(400 * mebibyte);
});
