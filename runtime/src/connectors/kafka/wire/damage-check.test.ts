// The short form of the fuzz command test/fuzz/record-batches.ts.
import { expect, it } from "vitest";
import { runSeed } from "../../../../../test/reference/random.ts";
import { checkDamagedBatches } from "./damage-check.suite.ts";

it("never reads what was not written from a damaged batch, nor beyond its bytes", async () => {
  const { cases, whole, refused, nothing, other } = await checkDamagedBatches(4000, runSeed());
  expect(whole + refused + nothing + other).toBe(cases);
  for (const count of [whole, refused, nothing, other]) expect(count).toBeGreaterThan(50);
});
