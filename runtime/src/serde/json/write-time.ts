// Days and instants as ISO 8601 text, written in place for the years 0 to 9999; others are left to the text functions.
import type { ByteWriter } from "../../base/bytes.ts";
import type { Column } from "../../core/batch/column.ts";
import { dayText, instantText } from "../../core/codec/iso-time.ts";
import type { SchemaField } from "../../core/schema/schema.ts";
import type { TimestampUnit } from "../../core/schema/type-spec.ts";
import { putFour, putTwo } from "./write-number.ts";
import { beyondCalendar } from "./write-nested.ts";

/** Bytes that an instant takes with its quotes, nanoseconds included. */
export const maxInstantBytes = 32;

const perSecond: Readonly<Record<TimestampUnit, number>> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };
const fractionDigits: Readonly<Record<TimestampUnit, number>> = { s: 0, ms: 3, us: 6, ns: 9 };
// 0000-01-01 and 10000-01-01 as days since 1970-01-01.
const firstDay = -719_528;
const endDay = 2_932_897;

// `YYYY-MM-DD` of a day within the years 0 to 9999: `civil_from_days` of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
function putDay(data: DataView, p: number, days: number): number {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  const fromMarch = ((5 * dayOfYear + 2) / 153) | 0;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  putFour(data, p, yearOfEra + era * 400 + (month <= 2 ? 1 : 0));
  data.setUint8(p + 4, 0x2d);
  putTwo(data, p + 5, month);
  data.setUint8(p + 7, 0x2d);
  putTwo(data, p + 8, dayOfYear - (((153 * fromMarch + 2) / 5) | 0) + 1);
  return p + 10;
}

/** Appends the day of a row in quotes. */
export function writeDay(writer: ByteWriter, field: SchemaField, column: Column, row: number): void {
  const days = column.numbers[row] as number;
  if (days < firstDay || days >= endDay) {
    writer.utf8Raw(`"${dayText(days) ?? beyondCalendar(field.name, days)}"`);
    return;
  }
  const at = writer.reserve(maxInstantBytes);
  writer.data.setUint8(at, 0x22);
  const after = putDay(writer.data, at + 1, days);
  writer.data.setUint8(after, 0x22);
  writer.length = after + 1;
}

/** Appends the instant of a row in quotes, in UTC, with the digits of a second that its unit has. */
export function writeInstant(writer: ByteWriter, field: SchemaField, column: Column, row: number): void {
  const type = field.spec.type;
  if (type.kind !== "timestamp") return;
  let seconds: number;
  let fraction: number;
  if (column.kind === "int64") {
    const value = column.getInt64(row);
    fraction = Number(((value % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
    seconds = Number((value - BigInt(fraction)) / 1_000_000_000n);
  } else {
    const value = column.numbers[row] as number;
    seconds = Math.floor(value / perSecond[type.unit]);
    fraction = value - seconds * perSecond[type.unit];
  }
  const days = Math.floor(seconds / 86_400);
  if (days < firstDay || days >= endDay) {
    const value = column.kind === "int64" ? column.getInt64(row) : (column.numbers[row] as number);
    writer.utf8Raw(`"${instantText(value, type.unit) ?? beyondCalendar(field.name, value)}"`);
    return;
  }
  const at = writer.reserve(maxInstantBytes);
  const { data } = writer;
  data.setUint8(at, 0x22);
  let p = putDay(data, at + 1, days);
  const second = (seconds - days * 86_400) | 0;
  const minute = (second / 60) | 0;
  const hour = (minute / 60) | 0;
  data.setUint8(p, 0x54);
  putTwo(data, p + 1, hour);
  data.setUint8(p + 3, 0x3a);
  putTwo(data, p + 4, minute - hour * 60);
  data.setUint8(p + 6, 0x3a);
  putTwo(data, p + 7, second - minute * 60);
  p += 9;
  const digits = fractionDigits[type.unit];
  if (digits > 0) {
    data.setUint8(p, 0x2e);
    for (let i = digits; i > 0; i--) {
      const rest = (fraction / 10) | 0;
      data.setUint8(p + i, 0x30 + fraction - rest * 10);
      fraction = rest;
    }
    p += digits + 1;
  }
  data.setUint8(p, 0x5a);
  data.setUint8(p + 1, 0x22);
  writer.length = p + 2;
}
