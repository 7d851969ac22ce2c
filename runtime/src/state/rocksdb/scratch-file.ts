// The larger part of a capture in a file of its own, from the barrier until the snapshot has it.
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { BlockBytes } from "../../core/ports/state-backend.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";
import type { StoreChecks } from "./store-checks.ts";

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
  readonly #checks: StoreChecks;
  readonly #removed: (file: ScratchFile) => void;
  #file = -1;
  #state: "new" | "written" | "released" = "new";

  constructor(path: string, afterBytes: number, checks: StoreChecks, removed: (file: ScratchFile) => void) {
    this.#path = path;
    this.afterBytes = afterBytes;
    this.#checks = checks;
    this.#removed = removed;
  }

  append(bytes: Uint8Array): BlockBytes {
    const from = this.sizeBytes;
    this.#checks.now("written", () => this.#write(bytes, from));
    this.sizeBytes += bytes.length;
    return this.#blockAt(from, bytes.length);
  }

  #write(bytes: Uint8Array, at: number): void {
    if (this.#file < 0) this.#file = openSync(this.#path, "w");
    this.#state = "written";
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#file, bytes, written, bytes.length - written, at + written);
    }
  }

  // Apart from `append`: functions made there would keep the bytes in memory for as long as the block is remembered.
  #blockAt(from: number, sizeBytes: number): BlockBytes {
    return {
      sizeBytes,
      readNow: () => this.#checks.now("read", () => this.#readNow(from, sizeBytes)),
      read: () => this.#checks.later("read", () => this.#read(from, sizeBytes)),
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
        if (got === 0) throw this.#endsEarly(from + read, from + length);
        read += got;
      }
      return target;
    } finally {
      closeSync(file);
    }
  }

  async #read(from: number, length: number): Promise<Uint8Array> {
    const file = await open(this.#path, "r");
    try {
      const target = Buffer.allocUnsafeSlow(length);
      for (let read = 0; read < length; ) {
        const { bytesRead } = await file.read(target, read, length - read, from + read);
        if (bytesRead === 0) throw this.#endsEarly(from + read, from + length);
        read += bytesRead;
      }
      return target;
    } finally {
      await file.close();
    }
  }

  #endsEarly(at: number, wanted: number): Error {
    return new Error(`${this.#path} ends at ${at}, before ${wanted}`);
  }
}
