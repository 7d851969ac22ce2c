// Sub-keys of tables with several entries per key: safe integers, or strings, kept as keys of a slot table.
import { murmur3, murmur3Word64 } from "../../base/murmur3.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import type { SubKey } from "../../core/ports/state.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { SlotKeys } from "../slots/slot-keys.ts";
import type { SlotLists } from "../slots/slot-lists.ts";

const two32 = 4294967296;

const numberLayout = keyLayout(schema({ sub: int53() }), ["sub"]);
const stringLayout = keyLayout(schema({ sub: string() }), ["sub"]);

export function subKeyLayout(kind: "number" | "string"): KeyLayout {
  return kind === "number" ? numberLayout : stringLayout;
}

/** Makes `target` hold a sub-key at position 0. */
export function loadSubKey(target: KeyBatch, subKey: SubKey): KeyBatch {
  target.ensure(1);
  target.count = 1;
  if (typeof subKey === "number") {
    const low = subKey | 0;
    const high = Math.floor(subKey / two32) | 0;
    target.low[0] = low;
    target.high[0] = high;
    target.hashes[0] = murmur3Word64(low, high);
    return target;
  }
  let bytes = target.bytes;
  if (!Buffer.isBuffer(bytes) || bytes.length < subKey.length * 3) {
    bytes = Buffer.allocUnsafeSlow(Math.max(subKey.length * 3, 256));
    target.bytes = bytes;
  }
  const length = (bytes as Buffer).write(subKey, 0, "utf8");
  target.starts[0] = 0;
  target.ends[0] = length;
  target.hashes[0] = murmur3(bytes, 0, length);
  return target;
}

/** The sub-key that a slot was made for. */
export function subKeyAt(keys: SlotKeys, slot: number): SubKey {
  const first = keys.heads[slot * 4 + 1] as number;
  const second = keys.heads[slot * 4 + 2] as number;
  return keys.integer ? second * two32 + (first >>> 0) : keys.arena.toString("utf8", first, first + second);
}

// Numbers by value, strings by their UTF-8 bytes.
function compareSubKeys(keys: SlotKeys, a: number, b: number): number {
  if (keys.integer) return (subKeyAt(keys, a) as number) - (subKeyAt(keys, b) as number);
  const { heads, arena } = keys;
  const startA = heads[a * 4 + 1] as number;
  const startB = heads[b * 4 + 1] as number;
  return arena.compare(arena, startB, startB + (heads[b * 4 + 2] as number), startA, startA + (heads[a * 4 + 2] as number));
}

/** Puts the slots of a list in the order of their sub-keys. */
export function sortBySubKey(keys: SlotKeys, links: SlotLists, list: number): void {
  const slots: number[] = [];
  for (let slot = links.first(list); slot >= 0; slot = links.next(slot)) slots.push(slot);
  if (slots.length < 2) return;
  slots.sort((a, b) => compareSubKeys(keys, a, b));
  links.reset(list);
  for (const slot of slots) links.append(list, slot);
}
