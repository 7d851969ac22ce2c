// The slots that were used last against a plain list.
import fc from "fast-check";
import { expect, test } from "vitest";
import { mostRecent, RecentSlots } from "./recent-slots.ts";

test("knows the slots that were used last, each once, in the order of their last use", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 200 }), (used) => {
      const recent = new RecentSlots();
      let expected: number[] = [];
      for (const slot of used) {
        recent.add(slot);
        expected = [slot, ...expected.filter((other) => other !== slot)].slice(0, mostRecent);
        for (const count of [1, 5, mostRecent]) {
          const among = Array.from({ length: 41 }, (_, other) => other).filter((other) => recent.isAmong(other, count));
          expect(among).toEqual(expected.slice(0, count).sort((a, b) => a - b));
        }
      }
    }),
    { numRuns: 200 },
  );
});
