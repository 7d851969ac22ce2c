// Names for table specs: equal specs have equal names, so that files and manifests can refer to them.
import { createHash } from "node:crypto";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { RowSpec } from "../../core/schema/type-spec.ts";
import type { StateSpec } from "../store/lineage.ts";

/** 16 hexadecimal digits over the spec. The order of fields counts, also of nested ones: it decides the bytes of entries. */
export function specIdOf({ name, form, key, keyForm, subKey, value, valueOrder, keyOrder }: StoredTableSpec): string {
  const fields = (order: readonly string[], of: RowSpec): unknown => order.map((field) => [field, of[field]]);
  const parts = [name, form, keyForm, subKey ?? null, fields(keyOrder, key), fields(valueOrder, value)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

export function withSpecIds(tables: readonly StoredTableSpec[]): readonly StateSpec[] {
  return tables.map((spec) => ({ id: specIdOf(spec), spec }));
}

/** From table name to spec name, for tables that each have one spec. */
export function specIdsByTable(specs: readonly StateSpec[]): ReadonlyMap<string, string> {
  return new Map(specs.map(({ id, spec }) => [spec.name, id]));
}
