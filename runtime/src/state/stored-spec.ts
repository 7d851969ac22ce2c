// What a manifest says of a table, made from its declaration.
import type { StoredTableSpec } from "../core/ports/state-backend.ts";
import type { TableSpec } from "../core/ports/state.ts";

export function storedSpecOf(form: StoredTableSpec["form"], spec: TableSpec, subKey?: "number" | "string"): StoredTableSpec {
  return {
    name: spec.name,
    form,
    key: spec.key.schema.spec,
    keyForm: spec.key.form,
    ...(subKey === undefined ? {} : { subKey }),
    value: spec.value.spec,
    valueOrder: spec.value.fields.map((field) => field.name),
    keyOrder: spec.key.schema.fields.map((field) => field.name),
  };
}
