// Days and ISO 8601 instants read in place from their usual forms; rarer ones are left to the careful path.
import type { FieldSpec, TimestampUnit } from "../../core/schema/type-spec.ts";
import { IntegerReader, ValueReader } from "./value-reader.ts";

const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function two(bytes: Uint8Array, p: number): number {
  const tens = (bytes[p] as number) - 0x30;
  const ones = (bytes[p + 1] as number) - 0x30;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? Number.NaN : tens * 10 + ones;
}

// Days since 1970-01-01 of `YYYY-MM-DD` at `p`; NaN where it is not a day of the calendar.
function dayAt(bytes: Uint8Array, p: number): number {
  const year = two(bytes, p) * 100 + two(bytes, p + 2);
  const month = two(bytes, p + 5);
  const day = two(bytes, p + 8);
  if (bytes[p + 4] !== 0x2d || bytes[p + 7] !== 0x2d || !(month >= 1 && month <= 12)) return Number.NaN;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (!(day >= 1 && day <= (daysInMonth[month - 1] as number) + (leap && month === 2 ? 1 : 0))) return Number.NaN;
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  // 719162 days lie between 0001-01-01 and 1970-01-01.
  return before * 365 + leapDays + (daysBeforeMonth[month - 1] as number) + (leap && month > 2 ? 1 : 0) + day - 1 - 719_162;
}

/** `YYYY-MM-DD` as days since 1970-01-01. */
export class DayReader extends ValueReader {
  constructor(spec: FieldSpec) {
    super(spec, "number");
  }

  read(bytes: Buffer, p: number, end: number, row: number): number {
    if (p + 12 > end || bytes[p] !== 0x22 || bytes[p + 11] !== 0x22) return -1;
    const days = dayAt(bytes, p + 1);
    if (Number.isNaN(days)) return -1;
    this.column.numbers[row] = days;
    return p + 12;
  }

  value(_bytes: Buffer, row: number): unknown {
    return this.column.numbers[row];
  }

  put(row: number, value: unknown): void {
    this.column.numbers[row] = value as number;
  }
}

const perSecond: Readonly<Record<TimestampUnit, number>> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };
const nanosPerUnit: Readonly<Record<TimestampUnit, number>> = { s: 1e9, ms: 1e6, us: 1e3, ns: 1 };

/** `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)` as an instant of the field's unit. */
export class InstantReader extends IntegerReader {
  readonly #perSecond: number;
  readonly #nanosPerUnit: number;

  constructor(spec: FieldSpec, unit: TimestampUnit) {
    super(spec, unit === "ns" ? "int64" : "number", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    this.#perSecond = perSecond[unit];
    this.#nanosPerUnit = nanosPerUnit[unit];
  }

  override read(bytes: Buffer, p: number, end: number, row: number): number {
    if (p + 22 > end || bytes[p] !== 0x22 || bytes[p + 11] !== 0x54 || bytes[p + 14] !== 0x3a || bytes[p + 17] !== 0x3a) return -1;
    const hour = two(bytes, p + 12);
    const minute = two(bytes, p + 15);
    const second = two(bytes, p + 18);
    if (!(hour <= 23 && minute <= 59 && second <= 59)) return -1;
    let at = p + 20;
    let nanos = 0;
    if (bytes[at] === 0x2e) {
      const start = ++at;
      for (; at < end; at++) {
        const digit = (bytes[at] as number) - 0x30;
        if (digit < 0 || digit > 9) break;
        nanos = nanos * 10 + digit;
      }
      const digits = at - start;
      if (digits === 0 || digits > 9) return -1;
      nanos *= 10 ** (9 - digits);
    }
    let offsetSeconds = 0;
    const sign = bytes[at];
    if (sign === 0x5a) at++;
    else if ((sign === 0x2b || sign === 0x2d) && at + 6 < end && bytes[at + 3] === 0x3a) {
      const offsetHour = two(bytes, at + 1);
      const offsetMinute = two(bytes, at + 4);
      if (!(offsetHour <= 23 && offsetMinute <= 59)) return -1;
      offsetSeconds = (sign === 0x2d ? -1 : 1) * (offsetHour * 3600 + offsetMinute * 60);
      at += 6;
    } else return -1;
    if (at >= end || bytes[at] !== 0x22) return -1;
    const seconds = dayAt(bytes, p + 1) * 86_400 + hour * 3600 + minute * 60 + second - offsetSeconds;
    return this.#store(seconds, nanos, row) ? at + 1 : -1;
  }

  #store(seconds: number, nanos: number, row: number): boolean {
    // Digits finer than the unit would be lost; NaN is a day that does not exist.
    if (nanos % this.#nanosPerUnit !== 0 || Number.isNaN(seconds)) return false;
    const fraction = nanos / this.#nanosPerUnit;
    if (this.column.kind === "int64") {
      const value = BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
      if (BigInt.asIntN(64, value) !== value) return false;
      this.column.setInt64(row, value);
      return true;
    }
    const value = seconds * this.#perSecond + fraction;
    this.column.numbers[row] = value;
    return Number.isSafeInteger(value);
  }
}
