// Groups changes by key group and writes them as blocks: first the records of a change log, then the entries of slots.
import { ByteWriter } from "../../base/bytes.ts";
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import { closeBlock, openBlock } from "../entry-codec.ts";
import { recordHeadBytes } from "./change-log.ts";

/** What a builder needs of a table. */
export interface BlockSource {
  readonly name: string;
  readonly maxParallelism: number;
  hashOf(slot: number): number;
  writePut(slot: number, writer: ByteWriter): void;
}

const bytesPerEntry = 32;

/**
 * The blocks of a table, ascending by key group. The entries of `slots[0..slotCount)` come after the log's, so they win.
 * Slots are read in their order and written to one buffer per key group: reading them group by group instead would miss the
 * processor's caches for every column of every entry.
 */
export function buildBlocks(
  source: BlockSource,
  logBytes: Uint8Array,
  slots: Int32Array,
  slotCount: number,
  clockMs: number,
): StateBlock[] {
  const { maxParallelism } = source;
  const log = Buffer.from(logBytes.buffer, logBytes.byteOffset, logBytes.length);
  const counts = new Int32Array(maxParallelism);
  const groups = new Uint16Array(slotCount);
  for (let i = 0; i < slotCount; i++) {
    const group = keyGroupOf(source.hashOf(slots[i] as number), maxParallelism);
    groups[i] = group;
    counts[group] = (counts[group] as number) + 1;
  }
  for (let at = 0; at < log.length; at += recordHeadBytes + log.readUInt32LE(at + 2)) {
    const group = log.readUInt16LE(at);
    counts[group] = (counts[group] as number) + 1;
  }
  const writers: ByteWriter[] = [];
  for (let group = 0; group < maxParallelism; group++) {
    if (counts[group] === 0) continue;
    const writer = new ByteWriter(64 + (counts[group] as number) * bytesPerEntry);
    openBlock(writer, clockMs);
    writers[group] = writer;
  }
  for (let at = 0; at < log.length; ) {
    const entry = at + recordHeadBytes;
    const end = entry + log.readUInt32LE(at + 2);
    (writers[log.readUInt16LE(at)] as ByteWriter).raw(log, entry, end);
    at = end;
  }
  for (let i = 0; i < slotCount; i++) source.writePut(slots[i] as number, writers[groups[i] as number] as ByteWriter);
  const blocks: StateBlock[] = [];
  for (const [keyGroup, writer] of writers.entries()) {
    if (writer === undefined) continue;
    closeBlock(writer, 0);
    blocks.push({ table: source.name, keyGroup, entryCount: counts[keyGroup] as number, bytes: writer.view() });
  }
  return blocks;
}
