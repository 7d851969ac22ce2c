// The table at the head of the index names every operator that it exports, and no other.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as operators from "./index.ts";

/** Exports that are no operators: they help to make params. */
const helpers = ["joinFields", "kindNames", "reduceAggregate"];

test("the table of operators is whole", () => {
  const lines = readFileSync(new URL("./index.ts", import.meta.url), "utf8").split("\n");
  const rows = lines.filter((line) => /^\/\/ \| [a-z ]{8}/.test(line));
  const named = rows.flatMap((line) => (line.split("|")[2] as string).split(",").map((name) => name.trim()));
  expect(named.length).toBeGreaterThan(20);
  expect(named.toSorted()).toEqual(
    Object.keys(operators)
      .filter((name) => !helpers.includes(name))
      .toSorted(),
  );
});
