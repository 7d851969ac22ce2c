// Numbers of JSON read in place, exactly: integers digit by digit, doubles by Clinger's fast path, and by the engine where that is not exact.
//
// "Exactly" for doubles means the nearest one, as JSON.parse gives. The fast path (W. D. Clinger, "How to read floating point
// numbers accurately", 1990): a decimal of at most 2^53 times or over a power of ten up to 10^22 takes one correctly rounded operation.
import type { Column } from "../../core/batch/column.ts";
import { skipNumber } from "./scan.ts";

export const powersOfTen: readonly number[] = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
const powers = Float64Array.from(powersOfTen);
const int64Least = -(2n ** 63n);
const int64Greatest = 2n ** 63n - 1n;

/**
 * Reads an integer written with digits alone into `column`. Returns the position after it, or -1 for anything else: a fraction or
 * an exponent (which may still stand for an integer), leading zeros, or a value outside of [least, greatest].
 * Limits matter for columns of kind `number`; one of kind `int64` takes 64 bits.
 */
export function readInteger(
  bytes: Uint8Array,
  p: number,
  end: number,
  column: Column,
  row: number,
  least: number,
  greatest: number,
): number {
  const negative = bytes[p] === 0x2d;
  const start = negative ? p + 1 : p;
  let at = start;
  let head = 0;
  // Nine digits fit 31 bits, so that the engine keeps them in an integer register.
  const headEnd = Math.min(end, start + 9);
  while (at < headEnd) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    head = (Math.imul(head, 10) + digit) | 0;
    at++;
  }
  let value = head;
  // Up to 15 digits stay below 2^53 whatever they are.
  const fastEnd = Math.min(end, start + 15);
  if (at === start + 9) {
    let tail = 0;
    while (at < fastEnd) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      tail = (Math.imul(tail, 10) + digit) | 0;
      at++;
    }
    value = head * (powers[at - start - 9] as number) + tail;
  }
  if (at === start || (bytes[start] === 0x30 && at > start + 1)) return -1;
  if (at === fastEnd && at < end) {
    let more = at;
    while (more < end && (bytes[more] as number) >= 0x30 && (bytes[more] as number) <= 0x39) more++;
    if (more !== at) return readLongInteger(bytes, p, more, end, column, row, least, greatest);
  }
  if (at < end && isFractional(bytes[at] as number)) return -1;
  // Integers have no negative zero.
  if (negative && value !== 0) value = -value;
  if (column.kind === "number") {
    if (value < least || value > greatest) return -1;
  } else if (column.exact !== null) column.exact.delete(row);
  column.numbers[row] = value;
  return at;
}

function isFractional(byte: number): boolean {
  return byte === 0x2e || (byte | 0x20) === 0x65;
}

// Sixteen digits and more.
function readLongInteger(
  bytes: Uint8Array,
  p: number,
  digitsEnd: number,
  end: number,
  column: Column,
  row: number,
  least: number,
  greatest: number,
): number {
  if (digitsEnd - p > 20 || (digitsEnd < end && isFractional(bytes[digitsEnd] as number))) return -1;
  const negative = bytes[p] === 0x2d;
  const start = negative ? p + 1 : p;
  if (bytes[start] === 0x30) return -1;
  // Two parts of which each is exact as a double: the last 9 digits, and what stands before them.
  let high = 0;
  let low = 0;
  const split = digitsEnd - 9;
  for (let i = start; i < split; i++) high = high * 10 + ((bytes[i] as number) - 0x30);
  for (let i = split; i < digitsEnd; i++) low = low * 10 + ((bytes[i] as number) - 0x30);
  const near = high * 1e9 + low;
  if (near <= Number.MAX_SAFE_INTEGER) {
    const value = negative ? -near : near;
    if (column.kind === "number" && (value < least || value > greatest)) return -1;
    column.numbers[row] = value;
    if (column.kind === "int64" && column.exact !== null) column.exact.delete(row);
    return digitsEnd;
  }
  if (column.kind === "number") return -1;
  const magnitude = BigInt(high) * 1_000_000_000n + BigInt(low);
  const value = negative ? -magnitude : magnitude;
  if (value < int64Least || value > int64Greatest) return -1;
  column.setInt64(row, value);
  return digitsEnd;
}

/** Reads a number into `numbers`; -1 where it is not one, or is beyond the greatest double (or float, for `single`). */
export function readDouble(bytes: Uint8Array, p: number, end: number, numbers: Float64Array, row: number, single: boolean): number {
  const negative = bytes[p] === 0x2d;
  const start = negative ? p + 1 : p;
  let at = start;
  let mantissa = 0;
  let digits = 0;
  let byte = 0;
  for (; at < end; at++) {
    byte = (bytes[at] as number) - 0x30;
    if (byte < 0 || byte > 9) break;
    mantissa = mantissa * 10 + byte;
    digits++;
  }
  if (digits === 0 || (bytes[start] === 0x30 && digits > 1)) return -1;
  let scale = 0;
  if (at < end && bytes[at] === 0x2e) {
    const point = at;
    for (at++; at < end; at++) {
      byte = (bytes[at] as number) - 0x30;
      if (byte < 0 || byte > 9) break;
      mantissa = mantissa * 10 + byte;
    }
    scale = at - point - 1;
    if (scale === 0) return -1;
    digits += scale;
  }
  const exponent = at < end && ((bytes[at] as number) | 0x20) === 0x65;
  let value: number;
  // 15 digits are below 2^53, so the digits are exact; powers of ten are exact up to 10^22.
  if (digits <= 15 && !exponent) value = scale === 0 ? mantissa : mantissa / (powers[scale] as number);
  else {
    at = skipNumber(bytes, p, end);
    if (at < 0) return -1;
    value = Math.abs(Number(latin1(bytes, p, at)));
  }
  const signed = negative ? -value : value;
  const stored = single ? Math.fround(signed) : signed;
  if (!Number.isFinite(stored)) return -1;
  numbers[row] = stored;
  return at;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}
