// The keys of a join's two sides: that they can be equal at all, and that null equals nothing.
import { MillraceError } from "../../base/errors.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";

/** Throws JOIN_KEY_MISMATCH where equal values of the two keys would not have equal bytes. */
export function checkJoinKeys(left: KeyLayout, right: KeyLayout): void {
  const shown = (layout: KeyLayout): string => layout.schema.fields.map((field) => `${field.name}: ${signature(field.spec)}`).join(", ");
  const same = (layout: KeyLayout): string => `${layout.form} ${layout.schema.fields.map((field) => signature(field.spec)).join()}`;
  if (same(left) === same(right)) return;
  throw new MillraceError(
    "JOIN_KEY_MISMATCH",
    "join",
    `the keys (${shown(left)}) and (${shown(right)}) cannot be compared`,
    "give the fields the same types, units and nullability on both sides",
  );
}

function signature(spec: FieldSpec): string {
  const type = spec.type;
  const absent = spec.nullable || spec.optional ? "?" : "";
  switch (type.kind) {
    case "int8":
    case "int16":
    case "int32":
    case "int64":
      return `integer${absent}`;
    case "float32":
    case "float64":
      return `float${absent}`;
    case "string":
    case "enum":
      return `text${absent}`;
    case "timestamp":
      return `timestamp(${type.unit})${absent}`;
    case "decimal":
      return `decimal(${type.scale})${absent}`;
    default:
      return `${type.kind}${absent}`;
  }
}

/** Tells the rows whose key has a null or missing part: as in SQL, they match nothing, not even each other. */
export class NullKeys {
  readonly #fields: readonly number[];

  constructor(layout: KeyLayout) {
    const absent = (index: number): boolean => {
      const spec = layout.schema.fields[index]?.spec;
      return spec !== undefined && (spec.nullable || spec.optional);
    };
    this.#fields = layout.fieldIndexes.filter((_, index) => absent(index));
  }

  has(rows: Rows, row: number): boolean {
    const fields = this.#fields;
    for (let f = 0; f < fields.length; f++) {
      const { nulls } = rows.column(fields[f] as number);
      if (nulls !== null && nulls[row] !== 0) return true;
    }
    return false;
  }
}
