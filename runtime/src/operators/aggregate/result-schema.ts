// The schema of an aggregate's rows: the key's fields, the window's bounds where there are any, the results.
import { MillraceError } from "../../base/errors.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";

/** The names of the fields for a window's bounds; null for windows without them. */
export interface BoundsFields {
  readonly start: string;
  readonly end: string;
}

export const defaultBounds: BoundsFields = { start: "windowStart", end: "windowEnd" };

const timestampSpec: FieldSpec = { type: { kind: "timestamp", unit: "ms", text: "number" }, nullable: false, optional: false, aliases: [] };
/** The schema of result rows: the key's fields, the window's bounds, the results. Throws AGGREGATE_NAME_TAKEN for a name used twice. */
export function resultSchema(key: KeyLayout, bounds: BoundsFields | null, results: Schema): Schema {
  const fields: Record<string, FieldSpec> = {};
  const add = (name: string, spec: FieldSpec): void => {
    if (Object.hasOwn(fields, name)) {
      throw new MillraceError(
        "AGGREGATE_NAME_TAKEN",
        `field "${name}"`,
        "names two fields of the result",
        "rename the aggregate or the key field",
      );
    }
    fields[name] = spec;
  };
  for (const { name, spec } of key.schema.fields) add(name, spec);
  if (bounds !== null) {
    add(bounds.start, timestampSpec);
    add(bounds.end, timestampSpec);
  }
  for (const { name, spec } of results.fields) add(name, spec);
  return new Schema(fields);
}
