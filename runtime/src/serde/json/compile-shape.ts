// Generates the decoder of records of one shape: a straight sequence of word compares for what lies between values, and of reads for the values.
//
// The generated code holds integers (word constants, field numbers) and fixed text only: nothing of a record or a schema's names gets into it.
import type { GeneralReader } from "./general-reader.ts";
import { powersOfTen } from "./numbers.ts";
import type { RecordShape, ShapeEntry } from "./record-shape.ts";
import { scanText, skipNumber, skipValue } from "./scan.ts";
import { EnumReader, IntegerReader, TextReader, type ValueReader } from "./value-reader.ts";

/** A block of records on its way into columns. */
export interface Block {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly count: number;
  readonly selection: Int32Array;
}

/** Decodes a row in another way; true where it is good. `selected` rows are selected so far. */
export type OtherWay = (block: Block, row: number, selected: number) => boolean;

/** How often a shape was tried since it was last judged, and how often the record had it. */
export interface ShapeTally {
  tried: number;
  matched: number;
}

/** Decodes rows `[from, until)` and writes the good ones into `block.selection` from `selected` on. Returns how many are selected in all. */
export type DecodeRows = (block: Block, from: number, until: number, selected: number, tally: ShapeTally, otherwise: OtherWay) => number;

/** Longer shapes would give functions that engines do not optimise; their records take the general path. */
export const maxShapeEntries = 64;

const w = (bytes: Buffer, at: number): number => bytes.readInt32LE(at);

// True where `bytes` stand at `p`; compares words, the last one overlapping the one before.
function matches(bytes: Buffer): string {
  const tests: string[] = [];
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) tests.push(`view.getInt32(p + ${at}, true) === ${w(bytes, at)}`);
  if (at < bytes.length) {
    if (bytes.length >= 4) tests.push(`view.getInt32(p + ${bytes.length - 4}, true) === ${w(bytes, bytes.length - 4)}`);
    else for (; at < bytes.length; at++) tests.push(`bytes[p + ${at}] === ${bytes[at] as number}`);
  }
  return tests.length === 0 ? "true" : tests.join(" && ");
}

// Four digits at a time: see `four` below. `word` is xored so that digits become 0..9; `flags` has the high bit of each byte that is none.
const loadDigits = "word = view.getInt32(p, true) ^ 0x30303030; flags = ((word + 0x76767676) | word) & 0x80808080;";
// Of a word of four digits: pairs first (tens and ones of each pair of bytes), then the pairs together.
const four = "(word = Math.imul(word, 10) + (word >>> 8), (word & 255) * 100 + ((word >>> 16) & 255))";
// Of a word of which only the first `n` bytes are digits: they move to the end, zeros come before them.
const some = `n = (31 - Math.clz32(flags & -flags)) >> 3; p += n; word = (word << 8) << (24 - (n << 3));`;

function readIntegerInline(index: number, reader: IntegerReader): string {
  const { least, greatest } = reader;
  const limited = reader.column.kind === "number" && greatest < 2 ** 31;
  return `
    at = p; v = 0; ${loadDigits}
    if (flags === 0) {
      v = ${four}; p += 4; ${loadDigits}
      if (flags === 0) {
        v = v * 10000 + ${four}; p += 4; ${loadDigits}
        if (flags === 0) {
          v = v * 10000 + ${four}; p += 4; ${loadDigits}
          if (flags === 0) p = at; else { ${some} v = v * tens[n] + ${four}; }
        } else { ${some} v = v * tens[n] + ${four}; }
      } else { ${some} v = v * tens[n] + ${four}; }
    } else { ${some} v = ${four}; }
    if (p === at || (bytes[at] === 0x30 && p > at + 1)${limited ? ` || v > ${greatest} || v < ${least}` : ""}) {
      p = reader${index}.readOrNull(bytes, at, end, row);
      if (p < 0) break straight;
    } else numbers${index}[row] = v;`;
}

// Finds the first byte of text that is a quote, a backslash, a control character or not ASCII, eight bytes at a time. The high bit of
// a byte is set by itself where it is not ASCII, else by the subtraction that borrows: of 1 where the xor left zero, of 0x20 where the
// byte is a control character. A borrow may also mark bytes above such a byte, so only the lowest mark counts (Hacker's Delight 6-1).
const special = (word: string): string =>
  `((${word} ^ 0x22222222) - 0x01010101 | (${word} ^ 0x5c5c5c5c) - 0x01010101 | ${word} - 0x20202020 | ${word}) & 0x80808080`;
const findSpecial = `
    for (;;) {
      if (p >= end) break straight;
      word = view.getInt32(p, true); flags = ${special("word")};
      if (flags !== 0) break;
      word = view.getInt32(p + 4, true); flags = ${special("word")};
      if (flags !== 0) { p += 4; break; }
      p += 8;
    }
    p += (31 - Math.clz32(flags & -flags)) >> 3;`;

function readTextInline(index: number, reader: TextReader, quoteMatched: boolean): string {
  const open = quoteMatched ? "" : `if (bytes[p] === 0x22) { p++;`;
  const close = quoteMatched ? "" : `} else { p = reader${index}.readOrNull(bytes, p, end, row); if (p < 0) break straight; }`;
  const has = reader instanceof EnumReader ? `if (!reader${index}.has(bytes, at, p)) break straight;` : "";
  return `${open} at = p; ${findSpecial}
    if (bytes[p] !== 0x22) { p = reader${index}.close(bytes, p, end, row); if (p < 0) break straight; }
    ${has} starts${index}[row] = at; ends${index}[row] = p; p++; ${close}`;
}

// A value that no field wants is checked and passed.
function skipInline(entry: ShapeEntry, quoteMatched: boolean): string {
  if (!quoteMatched) return `p = ${entry.text ? "skipValue" : "skipPlain"}(bytes, p, end, view); if (p < 0) break straight;`;
  return `${findSpecial} if (bytes[p] !== 0x22) { p = scanText(bytes, view, p, end); if (p === -1) break straight; if (p < 0) p = ~p; } p++;`;
}

function entrySource(entry: ShapeEntry, first: boolean, general: GeneralReader): string {
  const reader = entry.field < 0 ? undefined : (general.readers[entry.field] as ValueReader);
  const isText = reader === undefined ? entry.text : reader instanceof TextReader && !reader.spec.nullable && entry.text;
  const before = isText ? Buffer.concat([entry.before, Buffer.from('"')]) : entry.before;
  const value =
    reader === undefined
      ? skipInline(entry, isText)
      : reader instanceof TextReader
        ? readTextInline(entry.field, reader, isText)
        : reader.constructor === IntegerReader
          ? readIntegerInline(entry.field, reader)
          : `p = reader${entry.field}.readOrNull(bytes, p, end, row); if (p < 0) break straight;`;
  // Another shape may have been tried on the row before, and have found the field missing or null.
  const mayBeAbsent = reader !== undefined && (reader.spec.nullable || reader.spec.optional || reader.spec.default !== undefined);
  const found = `p += ${before.length}; ${mayBeAbsent ? `reader${entry.field}.present(row); ` : ""}${value}`;
  // A key that may be missing is passed over when another one stands in its place.
  const mayMiss = !first && (reader === undefined || reader.spec.optional || reader.spec.default !== undefined);
  if (!mayMiss) return `if (!(${matches(before)})) break straight; ${found}`;
  return `if (${matches(before)}) { ${found} }${reader === undefined ? "" : ` else general.putAbsent(${entry.field}, row);`}`;
}

function skipPlain(bytes: Buffer, p: number, end: number, view: DataView): number {
  const byte = bytes[p];
  return byte === 0x2d || (byte !== undefined && byte >= 0x30 && byte <= 0x39) ? skipNumber(bytes, p, end) : skipValue(bytes, p, end, view);
}

/** The decoder for records of a shape; undefined where the shape is too long, or lacks a field that must be there. */
export function compileShape(shape: RecordShape, general: GeneralReader): DecodeRows | undefined {
  if (shape.entries.length > maxShapeEntries) return undefined;
  const inShape = new Set(shape.entries.map((entry) => entry.field));
  const missing = general.fields.filter((field) => !inShape.has(field.index));
  if (missing.some(({ spec }) => !spec.optional && spec.default === undefined)) return undefined;
  const used = shape.entries.filter((entry) => entry.field >= 0).map((entry) => entry.field);
  // How far reading may get behind the end of a record before it notices: such records at the end of the block take the general path.
  const slack = shape.entries.reduce((sum, entry) => sum + entry.before.length + 32, shape.after.length + 64);
  const columns = used.map((index) => {
    const kind = (general.readers[index] as ValueReader).column.kind;
    const parts =
      kind === "text"
        ? `const starts${index} = reader${index}.column.starts, ends${index} = reader${index}.column.ends;`
        : kind === "object"
          ? ""
          : `const numbers${index} = reader${index}.column.numbers;`;
    return `const reader${index} = general.readers[${index}]; ${parts}`;
  });
  const source = `
  return function decodeShape(block, from, until, selected, tally, otherwise) {
    const bytes = block.bytes, view = block.view, starts = block.starts, ends = block.ends, selection = block.selection;
    const lastEnd = view.byteLength - ${slack};
    ${columns.join("\n    ")}
    let total = selected, tried = 0, matched = 0;
    for (let row = from; row < until; row++) {
      let p = starts[row];
      const end = ends[row];
      if (p >= 0 && end <= lastEnd) {
        tried++;
        let at = 0, word = 0, flags = 0, n = 0, v = 0;
        straight: {
          ${shape.entries.map((entry, index) => entrySource(entry, index === 0, general)).join("\n          ")}
          if (!(${matches(shape.after)}) || p + ${shape.after.length} !== end) break straight;
          ${missing.map((field) => `general.putAbsent(${field.index}, row);`).join(" ")}
          matched++;
          selection[total++] = row;
          continue;
        }
      }
      if (otherwise(block, row, total)) selection[total++] = row;
    }
    tally.tried += tried;
    tally.matched += matched;
    return total;
  };`;
  const make = new Function("general", "tens", "scanText", "skipValue", "skipPlain", source) as (
    ...parts: readonly unknown[]
  ) => DecodeRows;
  return make(general, Int32Array.from(powersOfTen.slice(0, 4)), scanText, skipValue, skipPlain);
}
