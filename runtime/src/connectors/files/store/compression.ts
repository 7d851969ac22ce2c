// Compressed files: which compression a name means, and a decompressed stream over a compressed one.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { ByteStream } from "./file-store.ts";
import { corrupt } from "./store-errors.ts";

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
  let failure: unknown;
  async function* chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const size = await source.read(chunk, 0, chunk.length);
      if (size === 0) return;
      yield chunk.subarray(0, size);
    }
  }
  const inflate = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const piping = pipeline(Readable.from(chunks(), { objectMode: false }), inflate).catch((error: unknown) => {
    failure = error;
  });
  const output = inflate[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  return {
    async read(target, at, length) {
      if (rest.length === 0) {
        const next = await output.next().catch(async (error: unknown) => {
          await piping;
          const cause = failure ?? error;
          throw cause instanceof MillraceError ? cause : corrupt(path, `is not whole ${compression} data: ${messageOf(cause)}`, cause);
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
      inflate.destroy();
      await piping;
      await source.close();
    },
  };
}
