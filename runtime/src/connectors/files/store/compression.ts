// Compressed files: which compression a name means, and a decompressed stream over a compressed one.
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { ByteStream } from "./file-store.ts";
import { corrupt } from "./store-errors.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export type Compression = "none" | "gzip" | "zstd";

const byEnding: Readonly<Record<string, Compression>> = { gz: "gzip", gzip: "gzip", zst: "zstd", zstd: "zstd" };
const unsupportedEndings: ReadonlySet<string> = new Set(["bz2", "xz", "lz4", "lzo", "br", "snappy", "sz", "z", "7z", "zip", "rar"]);
const chunkBytes = 256 * 1024;

/** The compression that a file's name tells. Throws FILES_COMPRESSION_UNSUPPORTED for the ending of another one. */
export function compressionOf(path: string): Compression {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (unsupportedEndings.has(ending)) {
    const next = "use gzip (.gz) or zstd (.zst), or set the option compression if the name is misleading";
    throw new MillraceError("FILES_COMPRESSION_UNSUPPORTED", path, `.${ending} files cannot be read`, next);
  }
  return byEnding[ending] ?? "none";
}

/** The decompressed bytes of a stream. Takes over `source` and closes it. Rejects with FILES_CORRUPT for damaged or truncated content. */
export function decompressed(path: string, source: ByteStream, compression: "gzip" | "zstd"): ByteStream {
  const output = compression === "gzip" ? throughDecoder(chunksOf(source), createGunzip()) : zstdOutput(chunksOf(source));
  let rest: Buffer = Buffer.alloc(0);
  return {
    async read(target, at, length) {
      while (rest.length === 0) {
        const next = await output.next().catch((error: unknown) => {
          throw error instanceof MillraceError ? error : corrupt(path, `is not whole ${compression} data: ${messageOf(error)}`, error);
        });
        if (next.done === true) return 0;
        rest = next.value;
      }
      const size = Math.min(length, rest.length);
      rest.copy(target, at, 0, size);
      rest = rest.subarray(size);
      return size;
    },
    async close() {
      // Ends the decoder where it stands.
      await output.return();
      await source.close();
    },
  };
}

async function* chunksOf(source: ByteStream): AsyncGenerator<Buffer, void> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const size = await source.read(chunk, 0, chunk.length);
    if (size === 0) return;
    yield chunk.subarray(0, size);
  }
}

/** What a decoder makes of the chunks. Rejects with the failure of either. */
async function* throughDecoder(chunks: AsyncGenerator<Buffer, void>, decoder: Duplex): AsyncGenerator<Buffer, void> {
  let failure: unknown;
  const piping = pipeline(Readable.from(chunks, { objectMode: false }), decoder).catch((error: unknown) => {
    failure ??= error;
  });
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    await piping;
    throw failure ?? error;
  } finally {
    decoder.destroy();
    await piping;
  }
}

/** Each frame through a decoder of its own. */
async function* zstdOutput(chunks: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
  const frames = new ZstdFrames();
  let chunk: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    if (chunk.length > 0) return true;
    const next = await chunks.next();
    if (next.done === true) return false;
    chunk = next.value;
    return true;
  };
  // The bytes of one frame, up to its end.
  async function* frame(): AsyncGenerator<Buffer, void> {
    do {
      if (!(await more())) throw new RangeError("it ends before the end of a zstd frame");
      const size = frames.walk(chunk, 0);
      const part = chunk.subarray(0, size);
      chunk = chunk.subarray(size);
      yield part;
    } while (!frames.between);
  }
  // An empty file is no compressed nothing: its writer did not get as far as the first frame.
  do yield* throughDecoder(frame(), createZstdDecompress());
  while (await more());
}
