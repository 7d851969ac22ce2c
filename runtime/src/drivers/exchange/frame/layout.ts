// How a frame lies in memory: a header, marks, times, kinds and columns, each at a multiple of 8 bytes so that it is read in place.
import { MillraceError } from "../../../base/errors.ts";

/**
 * ```
 *  0 u32 magic "MXF1"     16 u32 rows
 *  4 u32 bytes in all     20 u32 marks
 *  8 u32 kind             24 u32 flags
 * 12 u32 channel          28 u32 columns
 * ```
 * Then, each padded to 8 bytes: the marks, `rows` times (f64), with `hasKinds` the row kinds (u8), and the columns. Numbers are
 * little-endian. docs/reference/exchange.md describes it for people.
 */
export const headerBytes = 32;
export const magic = 0x3146584d;
export const at = { magic: 0, length: 4, kind: 8, channel: 12, rows: 16, marks: 20, flags: 24, columns: 28 } as const;

export const frameKind = { rows: 1, barrier: 2, credit: 3, hello: 4, welcome: 5, refused: 6 } as const;

/** In `flags` of a frame of rows. */
export const hasKinds = 1;

/** What happens between the rows of a channel: it takes effect after that many rows of the frame. */
export const markKind = { watermark: 0, idle: 1, active: 2 } as const;
/** u32 rows before it, u32 kind, f64 time. */
export const markBytes = 16;

/** u32 field index, u32 flags, u32 bytes of the variable part, u32 exact values. */
export const columnHeaderBytes = 16;
export const hasAbsent = 1;
/** u32 row, u32 unused, i64 value. */
export const exactBytes = 16;

/** A frame is kept below this, whatever is in its rows; it bounds what a damaged length makes a receiver allocate. */
export const maxFrameBytes: number = 256 * 1024 * 1024;

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** What arrived is not what a sender of this version sends. */
export function frameCorrupt(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "EXCHANGE_FRAME_CORRUPT",
    "exchange",
    what,
    "the job restarts from its last checkpoint; if it comes again, look at the network between the two processes",
    { cause },
  );
}
