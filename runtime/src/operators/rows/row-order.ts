// The order of rows by some of their fields: for topN and for first or last rows.
import type { Rows } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { MillraceError } from "../../base/errors.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { Schema, SchemaField } from "../../core/schema/schema.ts";
import { compareTexts } from "../aggregate/scalar.ts";

export interface OrderField {
  readonly field: string;
  /** Default ascending. */
  readonly descending?: boolean;
  /** Where null and missing values stand. Default: last when ascending, first when descending, as in PostgreSQL. */
  readonly nulls?: "first" | "last";
}

/**
 * Compares rows of one schema. Texts compare by code points, booleans false before true, NaN above all numbers; bytes by their
 * unsigned values. Throws ORDER_UNSUPPORTED for a field of a type that has no order.
 */
export class RowOrder {
  readonly #fields: readonly { readonly field: SchemaField; readonly sign: number; readonly nullSign: number }[];

  constructor(schema: Schema, order: readonly OrderField[]) {
    this.#fields = order.map((entry) => {
      const field = schema.field(entry.field);
      const kind = field.spec.type.kind;
      if (kind === "list" || kind === "map" || kind === "struct" || kind === "any") {
        throw new MillraceError("ORDER_UNSUPPORTED", `field "${field.name}"`, `a ${kind} has no order`, "order by scalar fields");
      }
      const descending = entry.descending === true;
      return { field, sign: descending ? -1 : 1, nullSign: (entry.nulls ?? (descending ? "first" : "last")) === "first" ? -1 : 1 };
    });
  }

  /** Negative where row `a` of `left` comes before row `b` of `right`, positive where it comes after, 0 where nothing tells them apart. */
  compare(left: Rows, a: number, right: Rows, b: number): number {
    const fields = this.#fields;
    for (let f = 0; f < fields.length; f++) {
      const { field, sign, nullSign } = fields[f] as (typeof fields)[number];
      const x = left.column(field.index);
      const y = right.column(field.index);
      const absentX = x.nulls !== null && x.nulls[a] !== 0;
      const absentY = y.nulls !== null && y.nulls[b] !== 0;
      if (absentX || absentY) {
        if (absentX && absentY) continue;
        return absentX ? nullSign : -nullSign;
      }
      const difference = compareValues(x, a, y, b);
      if (difference !== 0) return difference * sign;
    }
    return 0;
  }
}

function compareValues(x: Column, a: number, y: Column, b: number): number {
  switch (x.kind) {
    case "number":
      return compareNumbers(x.numbers[a] as number, y.numbers[b] as number);
    case "int64": {
      const difference = compareNumbers(x.numbers[a] as number, y.numbers[b] as number);
      // Two integers may share their nearest double.
      if (difference !== 0 || (x.exact === null && y.exact === null)) return difference;
      const left = x.getInt64(a);
      const right = y.getInt64(b);
      return left < right ? -1 : left > right ? 1 : 0;
    }
    case "text":
      return compareTexts(x.getText(a), y.getText(b));
    case "object": {
      const left = x.objects[a];
      const right = y.objects[b];
      if (left instanceof Decimal) return left.compare(right as Decimal);
      return Buffer.compare(left as Uint8Array, right as Uint8Array);
    }
  }
}

function compareNumbers(x: number, y: number): number {
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y) return 0;
  return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1;
}
