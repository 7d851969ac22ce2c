// Event time out of a field, in ms since the epoch.
import { MillraceError } from "../../base/errors.ts";
import type { Rows } from "../batch/batch.ts";
import { noTime } from "../batch/batch.ts";
import type { Schema } from "../schema/schema.ts";

/** The time of a row, ms; `noTime` where the field is null or missing. `view` shows the row. */
export type TimeReader<Row = unknown> = (rows: Rows, row: number, view: Row) => number;

const dayMs = 86_400_000;

/** Reads a timestamp of any unit, a date (its midnight, UTC), or an integer that counts ms. Throws TIME_FIELD for another type. */
export function fieldTimeMs(schema: Schema, name: string): TimeReader {
  const { index, column, spec } = schema.field(name);
  const scaled =
    (scale: number): TimeReader =>
    (rows, row) => {
      const { nulls, numbers } = rows.column(index);
      return nulls !== null && nulls[row] !== 0 ? noTime : Math.floor((numbers[row] as number) * scale);
    };
  const type = spec.type;
  switch (type.kind) {
    case "int32":
    case "int64":
      return column === "int64" ? exact(index, 1n) : scaled(1);
    case "date":
      return scaled(dayMs);
    case "timestamp":
      if (type.unit === "ns") return exact(index, 1_000_000n);
      if (type.unit === "us") return divided(index, 1000);
      return scaled(type.unit === "s" ? 1000 : 1);
    default:
      throw new MillraceError(
        "TIME_FIELD",
        `field "${name}"`,
        `a ${type.kind} is not a time`,
        "use a timestamp, a date or an integer of milliseconds, or a function",
      );
  }
}

// Division, not a factor of 0.001: that one rounds, and a time on a whole ms could come out one less.
function divided(index: number, by: number): TimeReader {
  return (rows, row) => {
    const { nulls, numbers } = rows.column(index);
    return nulls !== null && nulls[row] !== 0 ? noTime : Math.floor((numbers[row] as number) / by);
  };
}

function exact(index: number, unit: bigint): TimeReader {
  return (rows, row) => {
    const column = rows.column(index);
    if (column.nulls !== null && column.nulls[row] !== 0) return noTime;
    const value = column.getInt64(row);
    const whole = value / unit;
    return Number(value < 0n && whole * unit !== value ? whole - 1n : whole);
  };
}
