// The larger part of a capture in a file of its own, from the barrier until the snapshot has it.
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { BlockBytes } from "../../core/ports/state-backend.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";

/**
 * Who writes the snapshot reads it after the barrier, and releases it. What nobody releases goes with the folder of the instance: when
 * that is closed, or after a crash when it is opened again. No descriptor is kept, so a reader that comes too late finds no file,
 * and never another one.
 */
export class ScratchFile implements CaptureScratch {
  readonly afterBytes: number;
  keptBytes = 0;
  sizeBytes = 0;
  readonly #path: string;
  readonly #removed: (file: ScratchFile) => void;
  #file = -1;
  #state: "new" | "written" | "released" = "new";

  constructor(path: string, afterBytes: number, removed: (file: ScratchFile) => void) {
    this.#path = path;
    this.afterBytes = afterBytes;
    this.#removed = removed;
  }

  append(bytes: Uint8Array): BlockBytes {
    const from = this.sizeBytes;
    this.#checked("written", () => {
      if (this.#file < 0) this.#file = openSync(this.#path, "w");
      this.#state = "written";
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#file, bytes, written, bytes.length - written, from + written);
      }
    });
    this.sizeBytes += bytes.length;
    return {
      sizeBytes: bytes.length,
      readNow: () => this.#checked("read", () => this.#readNow(from, bytes.length)),
      read: () => this.#read(from, bytes.length),
    };
  }

  end(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  release(): void {
    this.end();
    if (this.#state === "written") rmSync(this.#path, { force: true });
    this.#state = "released";
    this.sizeBytes = 0;
    this.#removed(this);
  }

  #readNow(from: number, length: number): Uint8Array {
    const file = openSync(this.#path, "r");
    try {
      const target = Buffer.allocUnsafeSlow(length);
      for (let read = 0; read < length; ) {
        const got = readSync(file, target, read, length - read, from + read);
        if (got === 0) throw new Error(`it ends at ${from + read}, before ${from + length}`);
        read += got;
      }
      return target;
    } finally {
      closeSync(file);
    }
  }

  async #read(from: number, length: number): Promise<Uint8Array> {
    try {
      const file = await open(this.#path, "r");
      try {
        const target = Buffer.allocUnsafeSlow(length);
        for (let read = 0; read < length; ) {
          const { bytesRead } = await file.read(target, read, length - read, from + read);
          if (bytesRead === 0) throw new Error(`it ends at ${from + read}, before ${from + length}`);
          read += bytesRead;
        }
        return target;
      } finally {
        await file.close();
      }
    } catch (error) {
      throw this.#failed("read", error);
    }
  }

  #checked<T>(verb: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw this.#failed(verb, error);
    }
  }

  #failed(verb: string, error: unknown): MillraceError {
    return new MillraceError(
      "STATE_STORE_FAILED",
      `the captured state in ${this.#path}`,
      `it could not be ${verb}: ${messageOf(error)}`,
      "see that the disk has room and is writable; the job restarts from its last checkpoint",
      { cause: error },
    );
  }
}
