// A list of values from which values are taken back, maybe before they came: in a partial result the row may be in another part.
import type { Column } from "../../core/batch/column.ts";

/** The list of a slot, made when it is first needed. */
export function listOf<T>(column: Column, slot: number): T[] {
  const found = column.objects[slot];
  if (Array.isArray(found)) return found as T[];
  const made: T[] = [];
  column.objects[slot] = made;
  if (column.nulls !== null) column.nulls[slot] = 0;
  return made;
}

/** The list of a slot if it has one. */
export function listAt<T>(column: Column, slot: number): T[] | null {
  const found = column.objects[slot];
  return Array.isArray(found) ? (found as T[]) : null;
}

/** Adds `value` to `values`, or cancels an equal one that is owed. */
export function give<T>(values: T[], owed: T[] | null, value: T, identity: (value: T) => unknown): void {
  if (owed !== null && removeFirst(owed, identity(value), identity)) return;
  values.push(value);
}

/** Takes the earliest value equal to `value` out of `values`; false where there is none, and it is owed. */
export function take<T>(values: T[], value: T, identity: (value: T) => unknown): boolean {
  return removeFirst(values, identity(value), identity);
}

function removeFirst<T>(values: T[], wanted: unknown, identity: (value: T) => unknown): boolean {
  const at = values.findIndex((value) => identity(value) === wanted);
  if (at >= 0) values.splice(at, 1);
  return at >= 0;
}
