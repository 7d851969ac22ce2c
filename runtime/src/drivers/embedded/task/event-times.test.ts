// Event times beside offsets: what is written is read, never later than it was.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeTimes, encodeTimes } from "./event-times.ts";

const time = fc.record({
  watermarkMs: fc.oneof(
    fc.constant(-Infinity),
    fc.integer({ min: -2_000_000_000_000, max: 8_000_000_000_000 }),
    fc.double({ min: 0, max: 1e12, noNaN: true }),
  ),
  idle: fc.boolean(),
});

test("times come back, whole milliseconds as they were and parts of one rounded down", () => {
  fc.assert(
    fc.property(fc.array(time, { minLength: 1, maxLength: 200 }), (times) => {
      const text = encodeTimes(times);
      expect(text.length).toBeLessThanOrEqual(4000);
      if (text === "") return;
      expect(decodeTimes(text)).toEqual(times.map(({ watermarkMs, idle }) => ({ watermarkMs: Math.floor(watermarkMs), idle })));
    }),
  );
});

test("times that are near each other take few bytes", () => {
  const times = Array.from({ length: 128 }, (_, index) => ({ watermarkMs: 1_764_000_000_000 + index * 37, idle: false }));
  expect(encodeTimes(times).length).toBeLessThan(600);
});

test("too many times are left out, and what is no time counts as none", () => {
  const many = Array.from({ length: 2000 }, (_, index) => ({ watermarkMs: index * 1e9, idle: false }));
  expect(encodeTimes(many)).toBe("");
  for (const text of ["", "some other tool's note", "2,0,5", "1"]) expect(decodeTimes(text)).toEqual([]);
});
