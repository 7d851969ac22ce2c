// Groups changes by key group and writes them as blocks: first the records of a change log, then the entries of slots.
import { ByteWriter } from "../../base/bytes.ts";
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import { closeBlock, openBlock } from "../entry-codec.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";
import type { ChangeLog } from "./change-log.ts";

/** What a builder needs of a table. */
export interface BlockSource {
  readonly name: string;
  readonly maxParallelism: number;
  hashOf(slot: number): number;
  writePut(slot: number, writer: ByteWriter): void;
}

const bytesPerEntry = 32;
// A reader takes a block into memory as a whole, so a key group with more has several.
const maxBlockBytes = 32 << 20;
// Whoever uploads blocks from disk has several of them in memory at a time.
const maxStoredBlockBytes = 1 << 20;

/** The blocks of one key group under construction. */
class GroupBlocks {
  readonly #table: string;
  readonly #keyGroup: number;
  readonly #clockMs: number;
  readonly #done: StateBlock[] = [];
  writer: ByteWriter;
  #entryCount = 0;

  constructor(table: string, keyGroup: number, clockMs: number, expectedBytes: number) {
    this.#table = table;
    this.#keyGroup = keyGroup;
    this.#clockMs = clockMs;
    this.writer = this.#open(Math.min(maxBlockBytes, 64 + expectedBytes));
  }

  #open(bytes: number): ByteWriter {
    const writer = new ByteWriter(bytes);
    openBlock(writer, this.#clockMs);
    return writer;
  }

  /** An entry has been written. */
  added(): void {
    this.#entryCount++;
    if (this.writer.length < maxBlockBytes) return;
    this.#close();
    this.writer = this.#open(bytesPerEntry * 64);
  }

  #close(): void {
    closeBlock(this.writer, 0);
    this.#done.push({ table: this.#table, keyGroup: this.#keyGroup, entryCount: this.#entryCount, bytes: this.writer.view() });
    this.#entryCount = 0;
  }

  /** What has been written goes to disk; returns how many bytes that were. */
  store(scratch: CaptureScratch): number {
    if (this.#entryCount === 0) return 0;
    const { length } = this.writer;
    closeBlock(this.writer, 0);
    const stored = scratch.append(this.writer.view());
    this.#done.push({
      table: this.#table,
      keyGroup: this.#keyGroup,
      entryCount: this.#entryCount,
      get bytes() {
        return stored.readNow();
      },
      stored,
    });
    this.#entryCount = 0;
    this.writer.reset();
    openBlock(this.writer, this.#clockMs);
    return length - this.writer.length;
  }

  end(): readonly StateBlock[] {
    if (this.#entryCount > 0) this.#close();
    return this.#done;
  }
}

/** All blocks of a table under construction, which go to disk as often as they take too much memory together. */
class TableBlocks {
  readonly #source: BlockSource;
  readonly #clockMs: number;
  readonly #scratch: CaptureScratch | undefined;
  readonly #mostBytes: number;
  readonly #groups: (GroupBlocks | undefined)[];
  readonly #sizes: Float64Array;
  #heldBytes = 0;
  #isLarge = false;

  constructor(source: BlockSource, sizes: Float64Array, clockMs: number, scratch: CaptureScratch | undefined) {
    this.#source = source;
    this.#sizes = sizes;
    this.#clockMs = clockMs;
    this.#scratch = scratch;
    // A table that comes late has less, but not so little that its blocks would be tiny.
    this.#mostBytes = scratch === undefined ? Infinity : Math.max(scratch.afterBytes - scratch.keptBytes, scratch.afterBytes / 4);
    this.#groups = Array.from({ length: source.maxParallelism });
  }

  of(keyGroup: number): GroupBlocks {
    return (this.#groups[keyGroup] ??= new GroupBlocks(this.#source.name, keyGroup, this.#clockMs, this.#sizes[keyGroup] as number));
  }

  /** An entry of `bytes` has been written to `group`. */
  added(group: GroupBlocks, bytes: number): void {
    group.added();
    if (this.#scratch === undefined) return;
    this.#heldBytes += bytes;
    if (this.#isLarge && group.writer.length >= maxStoredBlockBytes) this.#heldBytes -= group.store(this.#scratch);
    else if (this.#heldBytes > this.#mostBytes) this.#storeAll(this.#scratch);
  }

  #storeAll(scratch: CaptureScratch): void {
    this.#isLarge = true;
    for (const group of this.#groups) group?.store(scratch);
    this.#heldBytes = 0;
  }

  end(): StateBlock[] {
    if (this.#scratch !== undefined) {
      if (this.#isLarge) this.#storeAll(this.#scratch);
      this.#scratch.keptBytes += this.#heldBytes;
    }
    return this.#groups.flatMap((group) => group?.end() ?? []);
  }
}

/**
 * The blocks of a table, ascending by key group. The entries of `slots[0..slotCount)` come after the log's, so they win.
 * Slots are read in their order and written to one buffer per key group: reading them group by group instead would miss the
 * processor's caches for every column of every entry. With `scratch`, a large table's blocks are smaller and lie there.
 */
export function buildBlocks(
  source: BlockSource,
  log: ChangeLog,
  slots: Int32Array,
  slotCount: number,
  clockMs: number,
  scratch?: CaptureScratch,
): StateBlock[] {
  const { maxParallelism } = source;
  const sizes = new Float64Array(maxParallelism);
  const groups = new Uint16Array(slotCount);
  // A log that is on disk is read once, and fills no buffer whole.
  if (log.isInMemory) {
    log.forEach((keyGroup, _bytes, start, end) => {
      sizes[keyGroup] = (sizes[keyGroup] as number) + end - start;
    });
  }
  for (let i = 0; i < slotCount; i++) {
    const group = keyGroupOf(source.hashOf(slots[i] as number), maxParallelism);
    groups[i] = group;
    sizes[group] = (sizes[group] as number) + bytesPerEntry;
  }
  const made = new TableBlocks(source, sizes, clockMs, scratch);
  log.forEach((keyGroup, bytes, start, end) => {
    const blocks = made.of(keyGroup);
    blocks.writer.raw(bytes, start, end);
    made.added(blocks, end - start);
  });
  for (let i = 0; i < slotCount; i++) {
    const blocks = made.of(groups[i] as number);
    const { length } = blocks.writer;
    source.writePut(slots[i] as number, blocks.writer);
    made.added(blocks, blocks.writer.length - length);
  }
  return made.end();
}
