// Reads data files: the index once, then only the ranges that are wanted, checked before anything is made of them.
import { crc32c } from "@node-rs/crc32";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { decompress } from "./compress.ts";
import {
  decodeIndex,
  decodeTrailer,
  type IndexedBlock,
  maxBlockBytes,
  maxIndexBytes,
  type Section,
  type StoredRange,
  trailerBytes,
} from "./data-file.ts";
import { missingIsCorrupt, snapshotCorrupt } from "./snapshot-errors.ts";

/** The end of a file that is fetched first: most indexes fit. */
const tailBytes = 64 * 1024;
/** One request fetches at most this (unless a single block is larger), and skips at most `gapBytes` between wanted blocks. */
const requestBytes = 4 * 1024 * 1024;
const gapBytes = 32 * 1024;
/** What requests hold together at most, those under way and the one that is being read, unless a single one has more. */
const heldBytes = 4 * requestBytes;

interface Request {
  readonly start: number;
  end: number;
  readonly blocks: IndexedBlock[];
}

export class DataFileReader {
  readonly sections: readonly Section[];
  readonly #storage: SnapshotStorage;
  readonly #path: string;
  /** Of a file that came whole with its index: checkpoints of little change have many of them, and a request each is what they cost. */
  readonly #whole: Buffer | undefined;

  private constructor(storage: SnapshotStorage, path: string, sections: readonly Section[], whole: Buffer | undefined) {
    this.#storage = storage;
    this.#path = path;
    this.sections = sections;
    this.#whole = whole;
  }

  /** Reads the index of the file, which has `sizeBytes` according to its manifest. Rejects with SNAPSHOT_CORRUPT. */
  static async open(storage: SnapshotStorage, path: string, sizeBytes: number): Promise<DataFileReader> {
    const file = `${storage.url}/${path}`;
    const tailStart = Math.max(0, sizeBytes - tailBytes);
    // One byte more than there should be: a file that is too long is noticed as well.
    const tail = await fetchRange(storage, path, tailStart, sizeBytes + 1);
    if (tail.length !== sizeBytes - tailStart) {
      const there = tail.length > sizeBytes - tailStart ? "more" : `${tailStart + tail.length}`;
      throw snapshotCorrupt(file, tailStart, `the file has ${there} bytes, not ${sizeBytes}`);
    }
    const trailerStart = sizeBytes - trailerBytes;
    try {
      const trailer = decodeTrailer(tail.subarray(Math.max(0, trailerStart - tailStart)));
      const { indexOffset, indexBytes, indexCrc32c } = trailer;
      if (indexOffset + indexBytes !== trailerStart || indexBytes > maxIndexBytes)
        throw new RangeError("the trailer and the file's size do not agree");
      const index =
        indexOffset >= tailStart
          ? tail.subarray(indexOffset - tailStart, trailerStart - tailStart)
          : await fetchRange(storage, path, indexOffset, trailerStart);
      if (index.length !== indexBytes || crc32c(index) !== indexCrc32c) {
        throw snapshotCorrupt(file, indexOffset, "the checksum of the index does not match");
      }
      const sections = decodeIndex(index);
      for (const { blocks } of sections) for (const block of blocks) checkPlace(block, indexOffset);
      return new DataFileReader(storage, path, sections, tailStart === 0 ? tail : undefined);
    } catch (error) {
      if (error instanceof RangeError) throw snapshotCorrupt(file, trailerStart, error.message, error);
      throw error;
    }
  }

  /**
   * The raw bytes of `blocks` (of this file's index), in their order. A few requests are under way ahead of the caller, few enough
   * that large blocks do not add up; a block is decompressed when the caller asks for it, so there is one at a time.
   */
  async *read(blocks: readonly IndexedBlock[]): AsyncGenerator<{ readonly block: IndexedBlock; readonly bytes: Uint8Array }> {
    const requests = planRequests(blocks);
    const ahead: Promise<Buffer>[] = [];
    let next = 0;
    let held = 0;
    try {
      for (const request of requests) {
        while (next < requests.length && (ahead.length === 0 || held + sizeOf(requests[next]) <= heldBytes)) {
          const fetching = this.#fetch(requests[next] as Request);
          // Whoever takes it from the queue handles its failure; until then it must not count as unhandled.
          fetching.catch(() => undefined);
          ahead.push(fetching);
          held += sizeOf(requests[next++]);
        }
        const buffer = await (ahead.shift() as Promise<Buffer>);
        for (const block of request.blocks) {
          const stored = buffer.subarray(block.offset - request.start, block.offset - request.start + block.storedBytes);
          yield { block, bytes: await unpack(`${this.#storage.url}/${this.#path}`, block, stored) };
        }
        held -= sizeOf(request);
      }
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  #fetch({ start, end }: Request): Promise<Buffer> {
    return this.#whole === undefined
      ? fetchRange(this.#storage, this.#path, start, end)
      : Promise.resolve(this.#whole.subarray(start, end));
  }
}

/** Reads bytes that a manifest refers to directly. */
export async function readPayload(storage: SnapshotStorage, path: string, range: StoredRange): Promise<Uint8Array> {
  const stored = await fetchRange(storage, path, range.offset, range.offset + range.storedBytes);
  return unpack(`${storage.url}/${path}`, range, stored);
}

async function unpack(file: string, range: StoredRange, stored: Buffer): Promise<Uint8Array> {
  if (stored.length !== range.storedBytes)
    throw snapshotCorrupt(file, range.offset, `the file ends inside a block of ${range.storedBytes} bytes`);
  if (crc32c(stored) !== range.crc32c)
    throw snapshotCorrupt(file, range.offset, `the checksum of a block of ${range.storedBytes} bytes does not match`);
  if (range.rawBytes > maxBlockBytes) throw snapshotCorrupt(file, range.offset, `a block of ${range.rawBytes} bytes is above the limit`);
  try {
    return await decompress(stored, range.compression, range.rawBytes);
  } catch (error) {
    throw snapshotCorrupt(file, range.offset, "a block does not decompress", error);
  }
}

function checkPlace(block: IndexedBlock, indexOffset: number): void {
  if (block.offset + block.storedBytes > indexOffset)
    throw new RangeError(`a block at ${block.offset} reaches into the index at ${indexOffset}`);
  if (block.rawBytes > maxBlockBytes) throw new RangeError(`a block at ${block.offset} has ${block.rawBytes} bytes, above the limit`);
}

async function fetchRange(storage: SnapshotStorage, path: string, start: number, end: number): Promise<Buffer> {
  try {
    return await storage.getRange(path, start, end);
  } catch (error) {
    throw missingIsCorrupt(`${storage.url}/${path}`, error);
  }
}

function sizeOf(request: Request | undefined): number {
  return request === undefined ? 0 : request.end - request.start;
}

// Neighbours in the file that are wanted one after another come in one request.
function planRequests(blocks: readonly IndexedBlock[]): readonly Request[] {
  const requests: Request[] = [];
  for (const block of blocks) {
    const last = requests.at(-1);
    const end = block.offset + block.storedBytes;
    const gap = last === undefined ? -1 : block.offset - last.end;
    if (last !== undefined && gap >= 0 && gap <= gapBytes && end - last.start <= requestBytes) {
      last.end = end;
      last.blocks.push(block);
    } else requests.push({ start: block.offset, end, blocks: [block] });
  }
  return requests;
}
