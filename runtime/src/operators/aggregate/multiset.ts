// Values with how often each occurs: what aggregates keep that must forget a value again when its row is taken back.
import { MillraceError } from "../../base/errors.ts";
import type { Column } from "../../core/batch/column.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import type { ScalarKey } from "./scalar.ts";

/** The column of a multiset, a map or a list that one accumulator owns; null while there is none. */
export const ownedObjectSpec: FieldSpec = { type: { kind: "any" }, nullable: true, optional: false, default: null, aliases: [] };

/** How many values one group may keep unless the call says otherwise. */
export const defaultValueLimit = 1_000_000;

/**
 * Counts per value. A count may be negative for a while: in a changelog a row may be taken back before it was seen
 * where two streams meet.
 */
export type Multiset = Map<ScalarKey, number>;

/** The multiset of a slot, made when it is first needed. */
export function multisetOf(column: Column, slot: number): Multiset {
  const found = column.objects[slot];
  if (found instanceof Map) return found as Multiset;
  const made: Multiset = new Map();
  column.objects[slot] = made;
  if (column.nulls !== null) column.nulls[slot] = 0;
  return made;
}

/** Changes the count of `key` and returns the new one; a count of zero is no entry. */
export function addToMultiset(values: Multiset, key: ScalarKey, by: number): number {
  const count = (values.get(key) ?? 0) + by;
  if (count === 0) values.delete(key);
  else values.set(key, count);
  return count;
}

/** Throws AGGREGATE_TOO_LARGE when a group keeps more than `limit` values. */
export function checkValueLimit(name: string, size: number, limit: number): void {
  if (size <= limit) return;
  throw new MillraceError(
    "AGGREGATE_TOO_LARGE",
    `aggregate "${name}"`,
    `one group holds more than ${limit} values`,
    "raise its limit, use an approximate aggregate, or group more narrowly",
  );
}
