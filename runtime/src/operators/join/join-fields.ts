// The usual output of a join: all fields of both sides, with prefixes where a name is in both or where they are asked for.
import { MillraceError } from "../../base/errors.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { type JoinField, type JoinType, keepsRight } from "./join-output.ts";

export interface JoinNames {
  /** In front of every field of the left side. Default none. */
  readonly leftPrefix?: string;
  /** In front of every field of the right side. Default none. */
  readonly rightPrefix?: string;
  /** Adds the window's bounds as timestamps under these names. */
  readonly window?: { readonly start: string; readonly end: string };
}

/**
 * The output schema and its fields. A side that may be absent is nullable in it. Throws JOIN_FIELD where a name would be there
 * twice: prefixes tell them apart.
 */
export function joinFields(
  left: Schema,
  right: Schema,
  type: JoinType,
  names: JoinNames = {},
): { readonly output: Schema; readonly fields: readonly JoinField[] } {
  const spec: Record<string, FieldSpec> = {};
  const fields: JoinField[] = [];
  const add = (field: JoinField, fieldSpec: FieldSpec): void => {
    if (spec[field.to] !== undefined) {
      throw new MillraceError(
        "JOIN_FIELD",
        `field "${field.to}"`,
        "would be in the join's output twice",
        "use leftPrefix or rightPrefix, or select fields",
      );
    }
    spec[field.to] = fieldSpec;
    fields.push(field);
  };
  for (const { name, spec: fieldSpec } of left.fields) {
    add(
      { side: "left", from: name, to: `${names.leftPrefix ?? ""}${name}` },
      keepsRight(type) ? { ...fieldSpec, nullable: true } : fieldSpec,
    );
  }
  if (type !== "semi" && type !== "anti") {
    const nullable = type === "left" || type === "full";
    for (const { name, spec: fieldSpec } of right.fields) {
      add({ side: "right", from: name, to: `${names.rightPrefix ?? ""}${name}` }, nullable ? { ...fieldSpec, nullable: true } : fieldSpec);
    }
  }
  if (names.window !== undefined) {
    const time: FieldSpec = { type: { kind: "timestamp", unit: "ms", text: "number" }, nullable: false, optional: false, aliases: [] };
    add({ side: "window", from: "start", to: names.window.start }, time);
    add({ side: "window", from: "end", to: names.window.end }, time);
  }
  return { output: new Schema(spec), fields };
}
