// The index of last entries against a plain map.
import fc from "fast-check";
import { expect, test } from "vitest";
import { EntryIndex } from "./entry-index.ts";

test("keeps the last version of each identity, as a map would", () => {
  const change = fc.record({ block: fc.nat(3), tag: fc.constantFrom(0, 2, 6), identity: fc.nat(1500), deleted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6000, size: "max" }), (changes) => {
      // Identities are two bytes, found at another place in each block.
      const bytes = [0, 1, 2, 3].map((block) => {
        const all = new Uint8Array(3100 + block);
        for (let identity = 0; identity < 1500; identity++) all.set([identity & 255, identity >> 8], block + identity * 2);
        return all;
      });
      const index = new EntryIndex(bytes);
      const expected = new Map<string, readonly number[]>();
      changes.forEach(({ block, tag, identity, deleted }, i) => {
        const at = block + (identity % 1500) * 2;
        index.set(block, i, i + 1, tag, at, at + 2, deleted);
        expected.set(`${tag} ${identity % 1500}`, [block, i, i + 1, deleted ? 1 : 0]);
      });
      const seen = Array.from({ length: index.count }, (_, entry) => [
        index.blocks[entry],
        index.starts[entry],
        index.ends[entry],
        index.deleted[entry],
      ]);
      expect(seen).toEqual([...expected.values()]);
    }),
    { numRuns: 15 },
  );
});
