// The older part of a change log in a file that is written at its end.
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { ChangeOverflow } from "../spill/spill-store.ts";
import type { StoreChecks } from "./store-checks.ts";

export class OverflowFile implements ChangeOverflow {
  readonly afterBytes: number;
  sizeBytes = 0;
  readonly #path: string;
  readonly #checks: StoreChecks;
  #file = -1;

  constructor(path: string, afterBytes: number, checks: StoreChecks) {
    this.#path = path;
    this.afterBytes = afterBytes;
    this.#checks = checks;
  }

  append(bytes: Uint8Array): void {
    this.#checks.now("written", () => this.#append(bytes));
  }

  #append(bytes: Uint8Array): void {
    if (this.#file < 0) this.#file = openSync(this.#path, "w+");
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#file, bytes, written, bytes.length - written, this.sizeBytes + written);
    }
    this.sizeBytes += bytes.length;
  }

  read(position: number, target: Uint8Array): void {
    this.#checks.now("read", () => this.#read(position, target));
  }

  #read(position: number, target: Uint8Array): void {
    for (let read = 0; read < target.length; ) {
      const got = readSync(this.#file, target, read, target.length - read, position + read);
      if (got === 0) throw new Error(`${this.#path} ends at ${position + read} of ${this.sizeBytes} bytes`);
      read += got;
    }
  }

  clear(): void {
    if (this.#file >= 0) ftruncateSync(this.#file, 0);
    this.sizeBytes = 0;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }
}
