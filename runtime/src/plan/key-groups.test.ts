// Key-group assignment as a pure function.
import fc from "fast-check";
import { expect, test } from "vitest";
import { keyGroupRange, ownerOfKeyGroup } from "./key-groups.ts";

const shape = fc.integer({ min: 1, max: 1000 }).chain((max) => fc.tuple(fc.constant(max), fc.integer({ min: 1, max })));

test("every key group has exactly one owner, the one whose range holds it", () => {
  fc.assert(
    fc.property(shape, ([maxParallelism, parallelism]) => {
      const ranges = Array.from({ length: parallelism }, (_, subtask) => keyGroupRange(subtask, parallelism, maxParallelism));
      let next = 0;
      for (const [subtask, range] of ranges.entries()) {
        expect(range.from).toBe(next);
        for (let group = range.from; group < range.to; group++) expect(ownerOfKeyGroup(group, parallelism, maxParallelism)).toBe(subtask);
        next = range.to;
      }
      expect(next).toBe(maxParallelism);
    }),
  );
});

test("ranges differ by at most one key group", () => {
  fc.assert(
    fc.property(shape, ([maxParallelism, parallelism]) => {
      const sizes = Array.from({ length: parallelism }, (_, subtask) => keyGroupRange(subtask, parallelism, maxParallelism)).map(
        ({ from, to }) => to - from,
      );
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});
