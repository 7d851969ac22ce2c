// Texts that functions put together from pieces: rows keep their characters, not the pieces.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { string } from "../schema/field.ts";
import { schema } from "../schema/schema.ts";
import { Rows } from "./batch.ts";
import { rowWriter } from "./rows-builder.ts";

const Note = schema({ note: string() });

function built(length: number): string {
  let note = "";
  for (let word = 1; note.length < length; word += 7919) note += word.toString(36);
  return note;
}

test("a text of many pieces takes about the memory of its characters", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const count = 2000;
  const length = 1000;
  const rows = new Rows(Note, count);
  rows.ready.fill(1);
  const write = rowWriter(Note);
  collect();
  const beforeBytes = process.memoryUsage().heapUsed;
  for (let row = 0; row < count; row++) write(rows, row, { note: built(length) });
  collect();
  // As pieces they take about ten times that.
  expect((process.memoryUsage().heapUsed - beforeBytes) / (count * length)).toBeLessThan(3);
  expect(rows.columns[0]?.getText(count - 1)).toBe(built(length));
});
