// Text as JSON strings, written in place: bytes that need no escape are copied a word at a time while they are looked at.
import type { ByteWriter } from "../../base/bytes.ts";

const shortEscapes = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);
const hexDigits = Buffer.from("0123456789abcdef");

/** Appends UTF-8 bytes as a JSON string with its quotes. `view` is over `bytes`. */
export function writeTextBytes(writer: ByteWriter, bytes: Uint8Array, view: DataView, start: number, end: number): void {
  // Room for the text without escapes, and for a word that reaches behind it.
  let to = writer.reserve(end - start + 8);
  let target = writer.data;
  target.setUint8(to++, 0x22);
  let from = start;
  const wordsEnd = end - 3;
  for (;;) {
    while (from < wordsEnd) {
      const word = view.getInt32(from, true);
      // The high bit of a byte is set where it is a quote, a backslash, a control character, or perhaps not ASCII.
      if (((((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101) | (word - 0x20202020) | word) & 0x80808080) !== 0)
        break;
      target.setInt32(to, word, true);
      from += 4;
      to += 4;
    }
    if (from >= end) break;
    // The bytes of such a word, and the last three, one at a time.
    for (const stop = Math.min(from + 4, end); from < stop; from++) {
      const byte = bytes[from] as number;
      if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) target.setUint8(to++, byte);
      else {
        writer.length = to;
        writer.reserve(end - from + 16);
        target = writer.data;
        to = putEscape(target, to, byte);
      }
    }
  }
  target.setUint8(to, 0x22);
  writer.length = to + 1;
}

function putEscape(data: DataView, p: number, byte: number): number {
  data.setUint8(p, 0x5c);
  const short = shortEscapes.get(byte);
  if (short !== undefined) {
    data.setUint8(p + 1, short);
    return p + 2;
  }
  data.setUint8(p + 1, 0x75);
  data.setUint16(p + 2, 0x3030, true);
  data.setUint8(p + 4, hexDigits[byte >> 4] as number);
  data.setUint8(p + 5, hexDigits[byte & 15] as number);
  return p + 6;
}

/** Appends a string as a JSON string with its quotes; lone surrogates become U+FFFD. */
export function writeText(writer: ByteWriter, text: string): void {
  const { length } = text;
  // Short ASCII text, as most is, without entering native code.
  if (length < 40) {
    const start = writer.reserve(length + 2);
    const { data } = writer;
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || code < 0x20 || code === 0x22 || code === 0x5c) break;
      data.setUint8(start + 1 + i, code);
    }
    if (i === length) {
      data.setUint8(start, 0x22);
      data.setUint8(start + 1 + i, 0x22);
      writer.length = start + i + 2;
      return;
    }
  }
  // JSON.stringify would write a lone surrogate as an escape, which is no text in UTF-8.
  writer.utf8Raw(JSON.stringify(text.isWellFormed() ? text : text.toWellFormed()));
}
