// Row views: one object per operator that shows the row it points at, so that a user's function sees `row.price` and no object is made per row.
import type { Schema, SchemaField } from "../schema/schema.ts";
import type { Batch, Rows } from "./batch.ts";

/**
 * Looks like the row object of its schema. Its getters are own and enumerable, so `{ ...row }`, `Object.keys(row)` and
 * JSON.stringify(row) work; what they give is a copy of the values. The view itself moves on to the next row.
 */
export abstract class RowView {
  /** Shows row `row` of `rows`. */
  abstract point(rows: Rows, row: number): void;
}

type ViewClass = new () => RowView;
const viewClasses = new WeakMap<Schema, ViewClass>();

/** A new view for rows of `schema`. The row type is the caller's claim. */
export function rowView<Row>(schema: Schema<Row>): RowView & Row {
  let made = viewClasses.get(schema);
  if (made === undefined) {
    made = compileView(schema);
    viewClasses.set(schema, made);
  }
  return new made() as RowView & Row;
}

/** A plain object with the values of a row: what may be kept. */
export function rowObject<Row>(batch: Batch, row: number, view: RowView & Row): Row {
  view.point(batch.rows, row);
  return { ...(view as Row) };
}

function readExpression(field: SchemaField): string {
  const at = "this.#row";
  const absent =
    field.spec.nullable || field.spec.optional
      ? `if (c.nulls !== null && c.nulls[${at}] !== 0) return c.nulls[${at}] === 1 ? null : undefined; `
      : "";
  switch (field.column) {
    case "number":
      return `${absent}return c.numbers[${at}]${field.spec.type.kind === "boolean" ? " === 1" : ""};`;
    case "int64":
      return `${absent}return c.getInt64(${at});`;
    case "text":
      return `${absent}return c.getText(${at});`;
    case "object":
      return `${absent}return c.objects[${at}];`;
  }
}

function getterSource(field: SchemaField): string {
  const column = `this.#rows.ready[${field.index}] !== 0 ? this.#c${field.index} : this.#rows.column(${field.index})`;
  return `get ${field.name}() { const c = ${column}; ${readExpression(field)} }`;
}

// Generated from the schema alone (field names are checked identifiers), so that each getter is a load from a typed array.
// The descriptors are shared by all views of the class: their objects then have one hidden class and the getters inline.
function compileView(schema: Schema): ViewClass {
  const each = (part: (field: SchemaField) => string): string => schema.fields.map(part).join("\n");
  const source = `
    return class extends RowView {
      #rows = null;
      #row = 0;
      ${each((field) => `#c${field.index} = null;`)}
      static getters = [];
      static {
        ${each((field) => `this.getters.push(Object.getOwnPropertyDescriptor({ ${getterSource(field)} }, "${field.name}"));`)}
      }
      constructor() {
        super();
        const getters = this.constructor.getters;
        ${each((field) => `Object.defineProperty(this, "${field.name}", getters[${field.index}]);`)}
      }
      point(rows, row) {
        this.#row = row;
        if (rows !== this.#rows) {
          this.#rows = rows;
          const columns = rows.columns;
          ${each((field) => `this.#c${field.index} = columns[${field.index}];`)}
        }
      }
    };`;
  return new Function("RowView", source)(RowView) as ViewClass;
}
