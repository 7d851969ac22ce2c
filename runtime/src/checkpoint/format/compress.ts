// Compression of blocks by zstd: small ones here and now, big ones on the thread pool so that processing goes on.
import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from "node:zlib";
import type { Compression } from "./data-file.ts";

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);
/** Below this a block is stored as it is: a call costs some 50 us whatever the size, and a small checkpoint has hundreds of blocks. */
const leastBytes = 4096;
/** Above this compression leaves the thread. */
const syncBytes = 16 * 1024;
/** The least that the library takes. */
const leastChunkBytes = 64;
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** The shorter form of `raw`. The result may be `raw` itself. */
export async function compress(
  raw: Uint8Array,
  wanted: Compression,
): Promise<{ readonly bytes: Uint8Array; readonly compression: Compression }> {
  if (wanted === "none" || raw.length < leastBytes) return { bytes: raw, compression: "none" };
  const packed = raw.length <= syncBytes ? zstdCompressSync(raw, { params }) : await compressAsync(raw, { params });
  return packed.length < raw.length ? { bytes: packed, compression: "zstd" } : { bytes: raw, compression: "none" };
}

/** Rejects when the bytes do not decompress to exactly `rawBytes`. */
export async function decompress(stored: Uint8Array, compression: Compression, rawBytes: number): Promise<Uint8Array> {
  let raw = stored;
  if (compression === "zstd") {
    // One more than is right, so that content that is too long is noticed and content that is far too long is never allocated.
    // One chunk for all of it: many small ones would be there twice when they are joined.
    const options = { maxOutputLength: rawBytes + 1, chunkSize: Math.max(leastChunkBytes, rawBytes + 1) };
    raw = rawBytes <= syncBytes ? zstdDecompressSync(stored, options) : await decompressAsync(stored, options);
  }
  if (raw.length !== rawBytes) throw new RangeError(`${raw.length} bytes where ${rawBytes} were expected`);
  return raw;
}
