// Writes a data file in one pass: blocks as they come, from several subtasks at a time, then the index.
import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { assert } from "../../base/errors.ts";
import type { ObjectWriter } from "../../core/ports/snapshot-storage.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import { compress } from "./compress.ts";
import {
  type Compression,
  encodeIndex,
  encodeTrailer,
  type IndexedBlock,
  maxBlockBytes,
  type SectionPart,
  type StoredRange,
} from "./data-file.ts";

/** Small blocks are gathered to chunks of this size before they go to the storage. */
const chunkBytes = 256 * 1024;
/** Blocks compressed at a time, per caller. */
const compressedAhead = 8;

export interface WrittenDataFile {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export class DataFileWriter {
  readonly #target: ObjectWriter;
  readonly #compression: Compression;
  readonly #hash = createHash("sha256");
  readonly #sections = new Map<string, { readonly uid: string; readonly part: SectionPart; readonly blocks: IndexedBlock[] }>();
  #chunk: Buffer = Buffer.allocUnsafeSlow(chunkBytes);
  #filled = 0;
  /** Where the next byte goes in the file. */
  #position = 0;
  /** The last write that was begun: writes happen one after another. */
  #tail: Promise<void> = Promise.resolve();

  constructor(target: ObjectWriter, compression: Compression) {
    this.#target = target;
    this.#compression = compression;
  }

  /**
   * Appends blocks to the section of `uid` and `part`; `specIds` names the spec of each table. Several callers may write at a
   * time; the blocks of one caller keep their order. Resolves with how many bytes they took.
   */
  async addBlocks(uid: string, part: SectionPart, specIds: ReadonlyMap<string, string>, blocks: readonly StateBlock[]): Promise<number> {
    // Also without blocks: a base of no entries is still a base.
    const section = this.#section(uid, part);
    let storedBytes = 0;
    for (let from = 0; from < blocks.length; from += compressedAhead) {
      const some = blocks.slice(from, from + compressedAhead);
      const packed = await Promise.all(some.map((block) => this.#packed(block)));
      await this.#exclusively(async () => {
        for (const [i, block] of some.entries()) {
          const specId = specIds.get(block.table);
          assert(specId !== undefined, `table ${block.table} of ${uid} has a spec`);
          const { bytes, compression, rawBytes } = packed[i] as (typeof packed)[number];
          const range = await this.#append(bytes, rawBytes, compression);
          section.push({ table: block.table, specId, keyGroup: block.keyGroup, entryCount: block.entryCount, ...range });
          storedBytes += range.storedBytes;
        }
      });
    }
    return storedBytes;
  }

  async #packed(block: StateBlock): Promise<Awaited<ReturnType<typeof compress>> & { readonly rawBytes: number }> {
    const raw = block.stored === undefined ? block.bytes : await block.stored.read();
    return { ...(await compress(raw, this.#compression)), rawBytes: raw.length };
  }

  /** Appends bytes that the manifest refers to directly. */
  async addPayload(raw: Uint8Array): Promise<StoredRange> {
    const { bytes, compression } = await compress(raw, this.#compression);
    let range: StoredRange | undefined;
    await this.#exclusively(async () => {
      range = await this.#append(bytes, raw.length, compression);
    });
    assert(range !== undefined, "the payload was appended");
    return range;
  }

  /** True while nothing was added. */
  get isEmpty(): boolean {
    return this.#position === 0;
  }

  async finish(): Promise<WrittenDataFile> {
    await this.#exclusively(async () => {
      const indexOffset = this.#position;
      const index = encodeIndex([...this.#sections.values()]);
      await this.#write(index);
      await this.#write(encodeTrailer({ indexOffset, indexBytes: index.length, indexCrc32c: crc32c(index) }));
      await this.#flush();
      await this.#target.finish();
    });
    return { sizeBytes: this.#position, sha256: this.#hash.digest("hex") };
  }

  async abort(): Promise<void> {
    await this.#tail.catch(() => undefined);
    await this.#target.abort();
  }

  #section(uid: string, part: SectionPart): IndexedBlock[] {
    const key = `${part} ${uid}`;
    let section = this.#sections.get(key);
    if (section === undefined) {
      section = { uid, part, blocks: [] };
      this.#sections.set(key, section);
    }
    return section.blocks;
  }

  async #append(bytes: Uint8Array, rawBytes: number, compression: Compression): Promise<StoredRange> {
    assert(rawBytes <= maxBlockBytes, "a block is within its limit");
    const offset = this.#position;
    await this.#write(bytes);
    return { offset, storedBytes: bytes.length, rawBytes, compression, crc32c: crc32c(bytes) };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#position += bytes.length;
    if (bytes.length >= chunkBytes / 2) {
      await this.#flush();
      await this.#send(bytes);
      return;
    }
    if (this.#filled + bytes.length > chunkBytes) await this.#flush();
    this.#chunk.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    const chunk = this.#chunk.subarray(0, this.#filled);
    // The storage keeps what it was given, so the next chunk is another buffer.
    this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
    this.#filled = 0;
    await this.#send(chunk);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#target.write(bytes);
  }

  // After a failed write the file is lost: every later one fails the same way.
  #exclusively(work: () => Promise<void>): Promise<void> {
    const mine = this.#tail.then(work);
    this.#tail = mine;
    mine.catch(() => undefined);
    return mine;
  }
}
