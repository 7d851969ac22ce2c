// reduceAggregate: a reduce function as an aggregate, for windows and grouped tables; its result is the reduced row.
import { Field } from "../../core/schema/field.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { CustomAggregate } from "../aggregate/call.ts";

/**
 * `fn` must be associative: windows reduce panes apart and then to one. It may return one of its arguments. The result is null
 * where a group has no rows. Use it as `custom(reduceAggregate(schema, fn))`.
 */
export function reduceAggregate<Row extends object>(
  schema: Schema<Row>,
  fn: (reduced: Row, row: Row) => Row,
): CustomAggregate<Row, Row | null, Row | null> {
  const reduced = new Field<Row | null>({ type: { kind: "struct", fields: schema.spec }, nullable: true, optional: false, aliases: [] });
  return {
    state: reduced,
    returns: reduced,
    create: () => null,
    // The row is a view that moves on; a copy also where the function returns it.
    add: (state, row) => ({ ...(state === null ? row : fn(state, row)) }),
    merge: (state, other) => (other === null ? state : state === null ? { ...other } : { ...fn(state, other) }),
    result: (state) => state,
  };
}
