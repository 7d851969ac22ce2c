// Hands the key of a slot out: as column values, and as the one key of a `KeyBatch`.
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { type KeyBatch, readKeyInto } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { SlotKeys } from "../slots/slot-keys.ts";

const two32 = 4294967296;

/** Writes the fields of a slot's key into columns `targets` of `rows` at `row`. */
export function copyKeyOf(keys: SlotKeys, layout: KeyLayout, slot: number, rows: Rows, row: number, targets: readonly number[]): void {
  const first = keys.heads[slot * 4 + 1] as number;
  const second = keys.heads[slot * 4 + 2] as number;
  if (!keys.integer) {
    readKeyInto(layout, keys.arena, first, first + second, rows, row, targets);
    return;
  }
  const column = rows.columns[targets[0] as number] as Column;
  const value = second * two32 + (first >>> 0);
  if (column.kind === "number" || Number.isSafeInteger(value)) {
    column.numbers[row] = value;
    if (column.exact !== null) column.exact.delete(row);
  } else column.setInt64(row, (BigInt(second) << 32n) | BigInt(first >>> 0));
  if (column.nulls !== null) column.nulls[row] = 0;
}

/** Makes `target` hold the one key of a slot, in memory of its own. */
export function loadKeyOf(keys: SlotKeys, slot: number, target: KeyBatch): void {
  target.ensure(1);
  target.count = 1;
  const first = keys.heads[slot * 4 + 1] as number;
  const second = keys.heads[slot * 4 + 2] as number;
  target.hashes[0] = keys.hashOf(slot);
  if (keys.integer) {
    target.low[0] = first;
    target.high[0] = second;
    return;
  }
  if (target.bytes.length < second) target.bytes = Buffer.allocUnsafeSlow(Math.max(second, 64));
  target.bytes.set(keys.arena.subarray(first, first + second));
  target.starts[0] = 0;
  target.ends[0] = second;
}
