// The short form of the fuzz command test/fuzz/binary-formats.ts.
import { expect, it } from "vitest";
import { runSeed } from "../../../test/reference/random.ts";
import { checkBinaryFormats } from "./binary-check.suite.ts";

it("reads whole Avro and Protobuf records as written, and damaged ones as an independent library does, or not at all", async () => {
  const { cases, whole, refused, both, onlyOurs } = await checkBinaryFormats(3000, runSeed());
  expect(whole + refused + both + onlyOurs).toBe(cases);
  for (const count of [whole, refused, both]) expect(count).toBeGreaterThan(50);
});
