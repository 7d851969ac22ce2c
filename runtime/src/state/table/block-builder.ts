// Groups changes by key group and writes them as blocks: first the records of a change log, then the entries of slots.
import { ByteWriter } from "../../base/bytes.ts";
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import { closeBlock, openBlock } from "../entry-codec.ts";
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

  end(): readonly StateBlock[] {
    if (this.#entryCount > 0) this.#close();
    return this.#done;
  }
}

/**
 * The blocks of a table, ascending by key group. The entries of `slots[0..slotCount)` come after the log's, so they win.
 * Slots are read in their order and written to one buffer per key group: reading them group by group instead would miss the
 * processor's caches for every column of every entry.
 */
export function buildBlocks(source: BlockSource, log: ChangeLog, slots: Int32Array, slotCount: number, clockMs: number): StateBlock[] {
  const { maxParallelism } = source;
  const sizes = new Float64Array(maxParallelism);
  const groups = new Uint16Array(slotCount);
  log.forEach((keyGroup, _bytes, start, end) => {
    sizes[keyGroup] = (sizes[keyGroup] as number) + end - start;
  });
  for (let i = 0; i < slotCount; i++) {
    const group = keyGroupOf(source.hashOf(slots[i] as number), maxParallelism);
    groups[i] = group;
    sizes[group] = (sizes[group] as number) + bytesPerEntry;
  }
  const made: (GroupBlocks | undefined)[] = Array.from({ length: maxParallelism });
  for (let group = 0; group < maxParallelism; group++) {
    if (sizes[group] !== 0) made[group] = new GroupBlocks(source.name, group, clockMs, sizes[group] as number);
  }
  log.forEach((keyGroup, bytes, start, end) => {
    const blocks = made[keyGroup] as GroupBlocks;
    blocks.writer.raw(bytes, start, end);
    blocks.added();
  });
  for (let i = 0; i < slotCount; i++) {
    const blocks = made[groups[i] as number] as GroupBlocks;
    source.writePut(slots[i] as number, blocks.writer);
    blocks.added();
  }
  return made.flatMap((blocks) => blocks?.end() ?? []);
}
