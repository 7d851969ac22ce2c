// Passes over JSON in bytes, as strict as JSON.parse: each function returns the position after what it passed, or -1.
//
// A result of -1 means "not plainly valid": the caller hands the whole record to the careful path (careful.ts), which alone
// decides what is wrong, if anything. So these functions may give up on what is rare, such as deep nesting.
// Where a `view` over the bytes is given, text is passed four bytes at a time.

const quote = 0x22;
const backslash = 0x5c;

/** The first position from `p` on that is not white space. */
export function skipSpace(bytes: Uint8Array, p: number, end: number): number {
  let at = p;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** The position of the quote that closes the string whose content starts at `p`. */
export function stringEnd(bytes: Uint8Array, p: number, end: number): number {
  let at = p;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === quote) return at;
    if (byte < 0x20) return -1;
    if (byte === backslash) at = skipEscape(bytes, at, end);
    else if (byte < 0x80) at++;
    else at = skipMultiByte(bytes, at, end);
    if (at < 0) return -1;
  }
  return -1;
}

/**
 * As `stringEnd`, four bytes at a time, and telling apart strings with escapes: for those it returns the bitwise complement of
 * the closing quote's position (which is below -1, because a quote came before it).
 */
export function scanText(bytes: Uint8Array, view: DataView, p: number, end: number): number {
  let at = p;
  let escaped = false;
  for (;;) {
    // The high bit of a byte is set in `marks` where the byte is a quote, a backslash, a control character or not ASCII; compile-shape.ts
    // says how.
    while (at + 4 <= end) {
      const word = view.getInt32(at, true);
      const marks = (((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101) | (word - 0x20202020) | word) & 0x80808080;
      if (marks !== 0) {
        at += (31 - Math.clz32(marks & -marks)) >> 3;
        break;
      }
      at += 4;
    }
    if (at >= end) return -1;
    const byte = bytes[at] as number;
    if (byte === quote) return escaped ? ~at : at;
    if (byte < 0x20) return -1;
    if (byte === backslash) {
      escaped = true;
      at = skipEscape(bytes, at, end);
    } else if (byte < 0x80) at++;
    else {
      // Text that is not ASCII mostly goes on so.
      do at = skipMultiByte(bytes, at, end);
      while (at > 0 && at < end && (bytes[at] as number) > 0x7f);
    }
    if (at < 0) return -1;
  }
}

/** True where the content of a string needs decoding. */
export function hasEscape(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] === backslash) return true;
  return false;
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

function skipEscape(bytes: Uint8Array, p: number, end: number): number {
  if (p + 1 >= end) return -1;
  switch (bytes[p + 1]) {
    case quote:
    case backslash:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return p + 2;
    case 0x75: // u
      if (p + 6 > end) return -1;
      for (let i = p + 2; i < p + 6; i++) if (!isHex(bytes[i] as number)) return -1;
      return p + 6;
    default:
      return -1;
  }
}

// One character of two to four bytes of UTF-8, by table 3-7 of the Unicode standard: no surrogates, no overlong forms.
function skipMultiByte(bytes: Uint8Array, p: number, end: number): number {
  const lead = bytes[p] as number;
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length === 0 || p + length > end) return -1;
  const second = bytes[p + 1] as number;
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const greatest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > greatest) return -1;
  for (let i = p + 2; i < p + length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) return -1;
  return p + length;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function skipDigits(bytes: Uint8Array, p: number, end: number): number {
  let at = p;
  while (at < end && isDigit(bytes[at])) at++;
  return at === p ? -1 : at;
}

/** Passes a number. */
export function skipNumber(bytes: Uint8Array, p: number, end: number): number {
  let at = bytes[p] === 0x2d ? p + 1 : p;
  if (at >= end) return -1;
  // A number that starts with zero has no further digits before the point.
  if (bytes[at] === 0x30) at++;
  else at = skipDigits(bytes, at, end);
  if (at < 0) return -1;
  if (at < end && bytes[at] === 0x2e) {
    at = skipDigits(bytes, at + 1, end);
    if (at < 0) return -1;
  }
  if (at < end && ((bytes[at] as number) | 0x20) === 0x65) {
    at++;
    if (at < end && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at++;
    at = skipDigits(bytes, at, end);
  }
  return at;
}

/** Passes `null`. */
export function skipNull(bytes: Uint8Array, p: number, end: number): number {
  return p + 4 <= end && bytes[p] === 0x6e && bytes[p + 1] === 0x75 && bytes[p + 2] === 0x6c && bytes[p + 3] === 0x6c ? p + 4 : -1;
}

/** Passes `true`. */
export function skipTrue(bytes: Uint8Array, p: number, end: number): number {
  return p + 4 <= end && bytes[p] === 0x74 && bytes[p + 1] === 0x72 && bytes[p + 2] === 0x75 && bytes[p + 3] === 0x65 ? p + 4 : -1;
}

/** Passes `false`. */
export function skipFalse(bytes: Uint8Array, p: number, end: number): number {
  const matches = bytes[p] === 0x66 && bytes[p + 1] === 0x61 && bytes[p + 2] === 0x6c && bytes[p + 3] === 0x73 && bytes[p + 4] === 0x65;
  return p + 5 <= end && matches ? p + 5 : -1;
}

/** Passes a string with its quotes. */
export function skipString(bytes: Uint8Array, p: number, end: number, view?: DataView): number {
  if (p >= end || bytes[p] !== quote) return -1;
  const closing = view === undefined ? stringEnd(bytes, p + 1, end) : scanText(bytes, view, p + 1, end);
  return closing === -1 ? -1 : (closing < 0 ? ~closing : closing) + 1;
}

// A value that holds no others.
function skipScalar(bytes: Uint8Array, p: number, end: number, view: DataView | undefined): number {
  switch (bytes[p]) {
    case quote:
      return skipString(bytes, p, end, view);
    case 0x74:
      return skipTrue(bytes, p, end);
    case 0x66:
      return skipFalse(bytes, p, end);
    case 0x6e:
      return skipNull(bytes, p, end);
    default:
      return skipNumber(bytes, p, end);
  }
}

// Passes `"key" :` up to the value.
function skipKey(bytes: Uint8Array, p: number, end: number, view: DataView | undefined): number {
  const afterKey = skipString(bytes, p, end, view);
  if (afterKey < 0) return -1;
  const colon = skipSpace(bytes, afterKey, end);
  return colon < end && bytes[colon] === 0x3a ? skipSpace(bytes, colon + 1, end) : -1;
}

/** Passes any value, nested up to 31 levels. */
export function skipValue(bytes: Uint8Array, p: number, end: number, view?: DataView): number {
  const first = bytes[p];
  if (first !== 0x7b && first !== 0x5b) return p < end ? skipScalar(bytes, p, end, view) : -1;
  // One bit per open level, 1 for an object: no memory is taken per value.
  let levels = 0;
  let depth = 0;
  let at = p;
  for (;;) {
    // At a value.
    if (at >= end) return -1;
    const byte = bytes[at];
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === 31) return -1;
      const isObject = byte === 0x7b;
      const inside = skipSpace(bytes, at + 1, end);
      if (inside < end && bytes[inside] === (isObject ? 0x7d : 0x5d)) at = inside + 1;
      else {
        levels = (levels << 1) | (isObject ? 1 : 0);
        depth++;
        at = isObject ? skipKey(bytes, inside, end, view) : inside;
        if (at < 0) return -1;
        continue;
      }
    } else {
      at = skipScalar(bytes, at, end, view);
      if (at < 0) return -1;
    }
    // After a value: close levels until one goes on.
    for (;;) {
      if (depth === 0) return at;
      at = skipSpace(bytes, at, end);
      if (at >= end) return -1;
      const inObject = (levels & 1) === 1;
      const next = bytes[at];
      if (next === 0x2c) {
        at = skipSpace(bytes, at + 1, end);
        if (inObject) at = skipKey(bytes, at, end, view);
        if (at < 0) return -1;
        break;
      }
      if (next !== (inObject ? 0x7d : 0x5d)) return -1;
      at++;
      levels >>>= 1;
      depth--;
    }
  }
}
