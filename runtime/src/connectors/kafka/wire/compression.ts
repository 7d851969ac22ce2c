// Compression of record batches: gzip and zstd by Node's zlib, Snappy and LZ4 by native libraries. What comes out is bounded before or while it is made.
import { createRequire } from "node:module";
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type * as Lz4 from "lz4-napi";
import type * as Snappy from "snappy";

// Loaded when they are first needed: most topics use neither, and native libraries cost start-up time and memory.
const load = createRequire(import.meta.url);
const lz4 = (): typeof Lz4 => load("lz4-napi") as typeof Lz4;
const snappy = (): typeof Snappy => load("snappy") as typeof Snappy;

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

const names: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** The number that a batch's attributes carry. */
export function compressionCode(compression: Compression): number {
  return names.indexOf(compression);
}

/** The compression of an attribute's number; undefined for one that Kafka does not have. */
export function compressionOf(code: number): Compression | undefined {
  return names[code];
}

/** True for a name that `Compression` has. */
export function isCompression(name: string): name is Compression {
  return (names as readonly string[]).includes(name);
}

export function compress(compression: Compression, bytes: Buffer): Buffer {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return gzipSync(bytes, { level: 1 });
    case "zstd":
      return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    case "lz4":
      return lz4().compressFrameSync(bytes);
    case "snappy":
      return snappyFramed(bytes);
  }
}

/** Throws for damaged input and for output above `limitBytes`. */
export function decompress(compression: Compression, bytes: Buffer, limitBytes: number): Buffer {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return gunzipSync(bytes, { maxOutputLength: limitBytes });
    case "zstd":
      return zstdDecompressSync(bytes, { maxOutputLength: limitBytes });
    case "lz4":
      checkBound(lz4Bound(bytes), limitBytes);
      return lz4().decompressFrameSync(bytes);
    case "snappy":
      return snappyUnframed(bytes, limitBytes);
  }
}

function checkBound(bytes: number, limitBytes: number): void {
  if (bytes > limitBytes) throw new RangeError(`up to ${bytes} bytes would come out, above the limit of ${limitBytes}`);
}

// Java's Snappy stream (xerial): a 16-byte head, then chunks with a 4-byte length each. Kafka's own clients write it, others write bare Snappy.
const xerialHead = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1]);
const xerialMagicBytes = 8;
const snappyChunkBytes = 32 * 1024;

function snappyFramed(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [xerialHead];
  for (let at = 0; at < bytes.length; at += snappyChunkBytes) {
    const chunk = snappy().compressSync(bytes.subarray(at, at + snappyChunkBytes));
    const size = Buffer.allocUnsafe(4);
    size.writeUInt32BE(chunk.length);
    pieces.push(size, chunk);
  }
  return Buffer.concat(pieces);
}

function snappyUnframed(bytes: Buffer, limitBytes: number): Buffer {
  if (bytes.compare(xerialHead, 0, xerialMagicBytes, 0, Math.min(xerialMagicBytes, bytes.length)) !== 0)
    return snappyBlock(bytes, limitBytes);
  const pieces: Buffer[] = [];
  let total = 0;
  for (let at = xerialHead.length; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    if (size > bytes.length - at - 4) throw new RangeError(`a Snappy chunk of ${size} bytes passes the end`);
    const piece = snappyBlock(bytes.subarray(at + 4, at + 4 + size), limitBytes - total);
    total += piece.length;
    pieces.push(piece);
    at += 4 + size;
  }
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, total);
}

function snappyBlock(bytes: Buffer, limitBytes: number): Buffer {
  // A block begins with its length when decompressed, as a varint: that is what the decoder allocates.
  let length = 0;
  for (let i = 0, scale = 1; i < 5; i++, scale *= 128) {
    const byte = bytes[i] ?? 0;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  checkBound(length, limitBytes);
  return snappy().uncompressSync(bytes) as Buffer;
}

const lz4Magic = 0x184d2204;
const lz4MaxRatio = 255;

/** The most that an LZ4 frame can become, from the sizes of its blocks; throws for what is not a frame. */
function lz4Bound(bytes: Buffer): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== lz4Magic) throw new RangeError("not an LZ4 frame");
  const flags = bytes[4] as number;
  const blockLimit = 2 ** (8 + 2 * (((bytes[5] as number) >> 4) & 7));
  let at = 7 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0);
  let bound = 0;
  while (at + 4 <= bytes.length) {
    const head = bytes.readUInt32LE(at);
    if (head === 0) break;
    const size = head & 0x7fffffff;
    bound += Math.min(blockLimit, size * lz4MaxRatio);
    at += 4 + size + (flags & 0x10 ? 4 : 0);
  }
  return bound;
}
