// What an executor's tasks have computed for others: frames by output and part, in memory up to a limit, beyond it in files.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Frames of each part of an output, by the part's name. */
export type OutputParts = ReadonlyMap<string, readonly ArrayBuffer[]>;

interface Stored {
  readonly bytes: number;
  /** Undefined for one that is in a file. */
  readonly parts: ReadonlyMap<string, readonly Uint8Array[]> | undefined;
  readonly ranges: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  readonly path: string;
}

export class OutputStore {
  readonly #directory: string;
  readonly #memoryBytes: number;
  readonly #outputs = new Map<string, Stored>();
  #held = 0;
  #files = 0;

  constructor(directory: string, memoryBytes: number) {
    this.#directory = directory;
    this.#memoryBytes = memoryBytes;
  }

  async put(output: string, parts: OutputParts): Promise<void> {
    const ranges = new Map<string, { readonly from: number; readonly to: number }>();
    const chunks = new Map<string, readonly Uint8Array[]>();
    let bytes = 0;
    for (const [part, frames] of parts) {
      const from = bytes;
      for (const frame of frames) bytes += frame.byteLength;
      ranges.set(part, { from, to: bytes });
      chunks.set(
        part,
        frames.map((frame) => new Uint8Array(frame)),
      );
    }
    const path = join(this.#directory, `${this.#files++}.frames`);
    await this.release([output]);
    if (this.#held + bytes <= this.#memoryBytes) {
      this.#held += bytes;
      this.#outputs.set(output, { bytes, parts: chunks, ranges, path });
      return;
    }
    await mkdir(this.#directory, { recursive: true });
    await writeFile(path, [...chunks.values()].flat());
    this.#outputs.set(output, { bytes, parts: undefined, ranges, path });
  }

  /** The frames of one part, one after another; empty where the output has no such part, undefined where there is no such output. */
  async get(output: string, part: string): Promise<Buffer | undefined> {
    const stored = this.#outputs.get(output);
    if (stored === undefined) return undefined;
    if (stored.parts !== undefined) return Buffer.concat(stored.parts.get(part) ?? []);
    const range = stored.ranges.get(part);
    return range === undefined ? Buffer.alloc(0) : (await readFile(stored.path)).subarray(range.from, range.to);
  }

  async release(outputs: readonly string[]): Promise<void> {
    for (const output of outputs) {
      const stored = this.#outputs.get(output);
      if (stored === undefined) continue;
      this.#outputs.delete(output);
      if (stored.parts !== undefined) this.#held -= stored.bytes;
      else await rm(stored.path, { force: true });
    }
  }

  async clear(): Promise<void> {
    await this.release([...this.#outputs.keys()]);
  }
}
