// Numbers as JSON digits, written in place: the text is the one that JSON.stringify gives, without making a string.
import type { ByteWriter } from "../../base/bytes.ts";

// The two digits of 0..99 as little-endian 16-bit words.
const pairs = Uint16Array.from({ length: 100 }, (_, value) => 0x3030 | Math.floor(value / 10) | ((value % 10) << 8));

/** Bytes that the longest number takes: `-1.2345678901234567e-300`, or 64 bits with a sign. */
export const maxNumberBytes = 25;

/** Writes an integer of at most 8 digits at `p`; returns the position after it. */
function putSmall(data: DataView, p: number, value: number): number {
  if (value < 10) {
    data.setUint8(p, 0x30 + value);
    return p + 1;
  }
  if (value < 100) {
    data.setUint16(p, pairs[value] as number, true);
    return p + 2;
  }
  if (value < 10000) {
    const high = (value / 100) | 0;
    const after = putSmall2(data, p, high);
    data.setUint16(after, pairs[value - high * 100] as number, true);
    return after + 2;
  }
  const high = (value / 10000) | 0;
  let after: number;
  if (high < 100) after = putSmall2(data, p, high);
  else {
    const top = (high / 100) | 0;
    after = putSmall2(data, p, top);
    data.setUint16(after, pairs[high - top * 100] as number, true);
    after += 2;
  }
  putFour(data, after, value - high * 10000);
  return after + 4;
}

function putSmall2(data: DataView, p: number, value: number): number {
  if (value < 10) {
    data.setUint8(p, 0x30 + value);
    return p + 1;
  }
  data.setUint16(p, pairs[value] as number, true);
  return p + 2;
}

/** Writes exactly two digits. */
export function putTwo(data: DataView, p: number, value: number): void {
  data.setUint16(p, pairs[value] as number, true);
}

/** Writes exactly four digits. */
export function putFour(data: DataView, p: number, value: number): void {
  const high = (value / 100) | 0;
  data.setUint16(p, pairs[high] as number, true);
  data.setUint16(p + 2, pairs[value - high * 100] as number, true);
}

/** Writes a safe integer at `p`, where `maxNumberBytes` are free; returns the position after it. */
export function putInteger(data: DataView, p: number, value: number): number {
  let at = p;
  let rest = value;
  if (rest < 0) {
    data.setUint8(at++, 0x2d);
    rest = -rest;
  }
  if (rest < 100_000_000) return putSmall(data, at, rest | 0);
  const high = Math.floor(rest / 100_000_000);
  const low = (rest - high * 100_000_000) | 0;
  at = putSmall(data, at, high | 0);
  const upper = (low / 10000) | 0;
  putFour(data, at, upper);
  putFour(data, at + 4, low - upper * 10000);
  return at + 8;
}

/** Writes ASCII text at `p`; returns the position after it. */
export function putAscii(data: DataView, p: number, text: string): number {
  for (let i = 0; i < text.length; i++) data.setUint8(p + i, text.charCodeAt(i));
  return p + text.length;
}

/**
 * Writes a double at `p`, where `maxNumberBytes` are free. NaN and the infinities, which JSON numbers cannot say, become text as in ProtoJSON;
 * -0 keeps its sign. A `single` is written with the digits that tell it from other floats.
 */
export function putDouble(data: DataView, p: number, value: number, single: boolean): number {
  if (Number.isInteger(value) && value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER) {
    return value === 0 && Object.is(value, -0) ? putAscii(data, p, "-0") : putInteger(data, p, value);
  }
  if (!Number.isFinite(value)) return putAscii(data, p, `"${value}"`);
  const magnitude = Math.abs(value);
  // A number of up to six digits behind the point and fifteen in all: no other of fifteen digits is as near to the value, so these are
  // the digits that shortest printing gives.
  if (magnitude < 1e9) {
    const scaled = Math.round(magnitude * 1e6);
    if ((single ? Math.fround(scaled / 1e6) : scaled / 1e6) === magnitude && scaled !== 0 && (!single || scaled < 1e7)) {
      return putScaled(data, value < 0 ? putAscii(data, p, "-") : p, scaled);
    }
  }
  return putAscii(data, p, single ? shortestSingle(value) : String(value));
}

// `scaled` millionths, without zeros at the end.
function putScaled(data: DataView, p: number, scaled: number): number {
  const whole = Math.floor(scaled / 1e6);
  let fraction = (scaled - whole * 1e6) | 0;
  let at = putInteger(data, p, whole);
  data.setUint8(at++, 0x2e);
  let digits = 6;
  while (fraction % 10 === 0) {
    fraction = (fraction / 10) | 0;
    digits--;
  }
  for (let i = digits - 1; i >= 0; i--) {
    const next = (fraction / 10) | 0;
    data.setUint8(at + i, 0x30 + fraction - next * 10);
    fraction = next;
  }
  return at + digits;
}

function shortestSingle(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}

/** Appends a bigint. */
export function writeBigint(writer: ByteWriter, value: bigint): void {
  const text = value.toString();
  const at = writer.reserve(text.length);
  writer.length = putAscii(writer.data, at, text);
}
