// The older part of a change log in a file that is written at its end, and read as a whole.
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { ChangeOverflow } from "../spill/spill-store.ts";

export class OverflowFile implements ChangeOverflow {
  readonly afterBytes: number;
  sizeBytes = 0;
  readonly #path: string;
  #file = -1;

  constructor(path: string, afterBytes: number) {
    this.#path = path;
    this.afterBytes = afterBytes;
  }

  append(bytes: Uint8Array): void {
    if (this.#file < 0) this.#file = openSync(this.#path, "w+");
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#file, bytes, written, bytes.length - written, this.sizeBytes + written);
    }
    this.sizeBytes += bytes.length;
  }

  drain(): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(this.sizeBytes);
    for (let read = 0; read < bytes.length; ) {
      const got = readSync(this.#file, bytes, read, bytes.length - read, read);
      if (got === 0) throw new Error(`${this.#path} ends at ${read} of ${bytes.length} bytes`);
      read += got;
    }
    if (this.#file >= 0) ftruncateSync(this.#file, 0);
    this.sizeBytes = 0;
    return bytes;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }
}
