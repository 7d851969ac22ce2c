// The usual instants of CSV files, `2024-01-31 10:20:30.123`, from their bytes: without a string and without patterns.

const msPerDay = 86_400_000;
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysOf = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** So many digits from `at` on as a number; NaN where one is none. */
function digits(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = (bytes[i] as number) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Days from 1970-01-01 to a day of the Gregorian calendar, years 1 to 9999; NaN for a day that does not exist. */
function dayNumber(year: number, month: number, day: number): number {
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > (daysOf[month - 1] as number) + (leap && month === 2 ? 1 : 0)) return Number.NaN;
  const before = year - 1;
  const ofYears = before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  return ofYears + (daysBefore[month - 1] as number) + (leap && month > 2 ? 1 : 0) + day - 1 - 719_162;
}

/**
 * Ms since the epoch of `YYYY-MM-DD`, then `T` or a space, `hh:mm:ss`, up to three digits of a second, and a `Z` or nothing, which means UTC
 * too. NaN for any other text, which may still be an instant.
 */
export function plainInstantMs(bytes: Buffer, start: number, end: number): number {
  const last = bytes[end - 1] === 90 ? end - 1 : end;
  const length = last - start;
  if (length < 19 || length > 23 || length === 20) return Number.NaN;
  const between = bytes[start + 10];
  const marks = bytes[start + 4] === 45 && bytes[start + 7] === 45 && bytes[start + 13] === 58 && bytes[start + 16] === 58;
  if (!marks || (between !== 84 && between !== 32)) return Number.NaN;
  const day = dayNumber(digits(bytes, start, 4), digits(bytes, start + 5, 2), digits(bytes, start + 8, 2));
  const hour = digits(bytes, start + 11, 2);
  const minute = digits(bytes, start + 14, 2);
  const second = digits(bytes, start + 17, 2);
  if (!(hour < 24 && minute < 60 && second < 60)) return Number.NaN;
  let ms = 0;
  if (length > 19) {
    if (bytes[start + 19] !== 46) return Number.NaN;
    const count = length - 20;
    ms = digits(bytes, start + 20, count) * (count === 3 ? 1 : count === 2 ? 10 : 100);
  }
  return day * msPerDay + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms;
}
