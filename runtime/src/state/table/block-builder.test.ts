// Blocks stay of a size that a reader can take into memory.
import { expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { memoryBackend } from "../memory/memory-backend.ts";
import { type KeyKind, KeyMaker, storedState } from "../suite/fixture.suite.ts";

const keySchema = schema({ id: int53() });
const kind: KeyKind = { name: "plain", schema: keySchema, layout: keyLayout(keySchema, ["id"]), valueOf: (i) => ({ id: i }) };

it("a key group with more than fits one block has several, which restore together", async () => {
  const options = { uid: "u", keyGroups: { from: 0, to: 1 }, maxParallelism: 1, clock: new ManualClock(0), directory: "" };
  const value = schema({ text: string() });
  const first = await memoryBackend().open(options);
  const table = first.state.table({ name: "t", key: kind.layout, value });
  const numbers = Array.from({ length: 40 }, (_, i) => i);
  const slots = new Int32Array(40);
  table.findAll(new KeyMaker(kind).keys(numbers), null, slots, true);
  for (const i of numbers) table.columns[0]?.setText(slots[i] as number, String.fromCharCode(65 + i).repeat(2 ** 20));
  table.touchAll(slots, 40);
  const { tables, blocks } = first.capture();
  expect(blocks.length).toBe(2);
  expect(blocks.reduce((sum, { entryCount }) => sum + entryCount, 0)).toBe(40);
  for (const { bytes } of blocks) expect(bytes.length).toBeLessThanOrEqual(34 * 2 ** 20);
  const second = await memoryBackend().open(options);
  const restored = second.state.table({ name: "t", key: kind.layout, value });
  await second.restore(storedState(tables, blocks));
  restored.findAll(new KeyMaker(kind).keys(numbers), null, slots, false);
  for (const i of numbers)
    expect(restored.columns[0]?.getText(slots[i] as number).startsWith(String.fromCharCode(65 + i).repeat(9))).toBe(true);
});
