// Names for table specs: equal specs have equal names, so that files and manifests can refer to them.
import { createHash } from "node:crypto";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import { canonicalJson } from "../../core/schema/schema.ts";
import type { StateSpec } from "./lineage.ts";

/** 16 hexadecimal digits over the spec. */
export function specIdOf(spec: StoredTableSpec): string {
  return createHash("sha256").update(canonicalJson(spec)).digest("hex").slice(0, 16);
}

export function withSpecIds(tables: readonly StoredTableSpec[]): readonly StateSpec[] {
  return tables.map((spec) => ({ id: specIdOf(spec), spec }));
}

/** From table name to spec name, for tables that each have one spec. */
export function specIdsByTable(specs: readonly StateSpec[]): ReadonlyMap<string, string> {
  return new Map(specs.map(({ id, spec }) => [spec.name, id]));
}
