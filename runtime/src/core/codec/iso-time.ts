// Instants and days as ISO 8601 text: exact to the field's unit, always UTC when written, any offset when read.
import type { TimestampUnit } from "../schema/type-spec.ts";

// Of a second: how many of the unit.
const perSecond: Readonly<Record<TimestampUnit, bigint>> = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n };
const digits: Readonly<Record<TimestampUnit, number>> = { s: 0, ms: 3, us: 6, ns: 9 };

const dayPattern = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)$/;
const instantPattern = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))$/;
const msPerDay = 86_400_000;

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; undefined for a day that does not exist.
function daysOf(yearText: string, monthText: string, dayText_: string): number | undefined {
  const year = Number(yearText);
  const month = Number(monthText);
  const day = Number(dayText_);
  if (yearText === "-000000") return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.getTime() / msPerDay;
}

/** Days since 1970-01-01 of `YYYY-MM-DD`; undefined for anything else. */
export function parseDay(text: string): number | undefined {
  const match = dayPattern.exec(text);
  return match === null ? undefined : daysOf(match[1] as string, match[2] as string, match[3] as string);
}

/**
 * The instant of an ISO 8601 text with a date, a time and an offset or `Z`, in `unit` since the epoch. Undefined for other
 * text, and for digits of a second finer than the unit that are not zero: they would be lost.
 */
export function parseInstant(text: string, unit: TimestampUnit): bigint | undefined {
  const match = instantPattern.exec(text);
  if (match === null) return undefined;
  const days = daysOf(match[1] as string, match[2] as string, match[3] as string);
  const hour = Number(match[4]);
  const minute = Number(match[5]);
  const second = Number(match[6] ?? "0");
  const offsetHour = Number(match[10] ?? "0");
  const offsetMinute = Number(match[11] ?? "0");
  if (days === undefined || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const offsetSeconds = (match[9] === "-" ? -1 : 1) * (offsetHour * 3600 + offsetMinute * 60);
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offsetSeconds;
  const fraction = (match[7] ?? "").padEnd(9, "0");
  const kept = digits[unit];
  if (/[1-9]/.test(fraction.slice(kept))) return undefined;
  return BigInt(seconds) * perSecond[unit] + BigInt(fraction.slice(0, kept));
}

/** `YYYY-MM-DD` of days since 1970-01-01; undefined beyond the platform's calendar, which ends 100,000,000 days from 1970. */
export function dayText(days: number): string | undefined {
  const date = new Date(days * msPerDay);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, -14);
}

/** ISO 8601 in UTC with as many digits of a second as the unit has; undefined beyond the platform's calendar. */
export function instantText(value: number | bigint, unit: TimestampUnit): string | undefined {
  if (unit === "ms") {
    const date = new Date(Number(value));
    return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  }
  const scale = perSecond[unit];
  const units = BigInt(value);
  const seconds = (units - (((units % scale) + scale) % scale)) / scale;
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  const fraction = unit === "s" ? "" : `.${(units - seconds * scale).toString().padStart(digits[unit], "0")}`;
  return `${date.toISOString().slice(0, -5)}${fraction}Z`;
}
