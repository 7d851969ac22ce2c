// Compresses a file piece by piece into one gzip member or one zstd frame: many readers stop at the end of the first one.
import { createGzip, createZstdCompress, type Gzip, type ZstdCompress } from "node:zlib";
import type { Compression } from "../store/compression.ts";

export interface Compressor {
  /** What came out for a piece; may be nothing yet. */
  write(bytes: Uint8Array): Promise<Uint8Array>;
  /** The rest. */
  finish(): Promise<Uint8Array>;
  /** Frees its memory; after `finish`, or instead of it. */
  close(): void;
}

export function openCompressor(compression: Compression): Compressor {
  if (compression === "none") return { write: async (bytes) => bytes, finish: async () => new Uint8Array(), close() {} };
  return new StreamCompressor(compression === "gzip" ? createGzip() : createZstdCompress());
}

/** Works in Node's thread pool, one piece at a time. */
class StreamCompressor implements Compressor {
  readonly #stream: Gzip | ZstdCompress;
  #chunks: Buffer[] = [];

  constructor(stream: Gzip | ZstdCompress) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
  }

  #take(): Uint8Array {
    const chunks = this.#chunks;
    this.#chunks = [];
    return Buffer.concat(chunks);
  }

  write(bytes: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, (error) => {
        if (error === null || error === undefined) resolve(this.#take());
        else reject(error);
      });
    });
  }

  finish(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#stream.once("end", () => resolve(this.#take()));
      this.#stream.once("error", reject);
      this.#stream.end();
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}
