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

/** A counting sort of numbers by key group: `order[starts[g] .. starts[g + 1])` are those of group g, in their old order. */
function groupBy(groups: Uint16Array, count: number, maxParallelism: number): { readonly starts: Int32Array; readonly order: Int32Array } {
  const starts = new Int32Array(maxParallelism + 1);
  for (let i = 0; i < count; i++) starts[(groups[i] as number) + 1] = (starts[(groups[i] as number) + 1] as number) + 1;
  for (let g = 0; g < maxParallelism; g++) starts[g + 1] = (starts[g + 1] as number) + (starts[g] as number);
  const next = starts.slice();
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const group = groups[i] as number;
    order[next[group] as number] = i;
    next[group] = (next[group] as number) + 1;
  }
  return { starts, order };
}

/** Where the records of a log start, and their key groups. */
function scanRecords(log: Buffer): { readonly at: Float64Array; readonly groups: Uint16Array; readonly count: number } {
  let at = new Float64Array(256);
  let groups = new Uint16Array(256);
  let count = 0;
  for (let position = 0; position < log.length; position += recordHeadBytes + log.readUInt32LE(position + 2)) {
    if (count === at.length) {
      const grownAt = new Float64Array(count * 2);
      grownAt.set(at);
      at = grownAt;
      const grownGroups = new Uint16Array(count * 2);
      grownGroups.set(groups);
      groups = grownGroups;
    }
    at[count] = position;
    groups[count++] = log.readUInt16LE(position);
  }
  return { at, groups, count };
}

/** The blocks of a table, ascending by key group. The entries of `slots[0..slotCount)` come after the log's, so they win. */
export function buildBlocks(
  source: BlockSource,
  logBytes: Uint8Array,
  slots: Int32Array,
  slotCount: number,
  clockMs: number,
): StateBlock[] {
  const { maxParallelism } = source;
  const log = Buffer.from(logBytes.buffer, logBytes.byteOffset, logBytes.length);
  const records = scanRecords(log);
  const slotGroups = new Uint16Array(slotCount);
  for (let i = 0; i < slotCount; i++) slotGroups[i] = keyGroupOf(source.hashOf(slots[i] as number), maxParallelism);
  const bySlot = groupBy(slotGroups, slotCount, maxParallelism);
  const byRecord = groupBy(records.groups, records.count, maxParallelism);
  const writer = new ByteWriter(Math.max(1024, log.length + slotCount * 32));
  const spans: { readonly keyGroup: number; readonly entryCount: number; readonly start: number; readonly end: number }[] = [];
  for (let keyGroup = 0; keyGroup < maxParallelism; keyGroup++) {
    const recordsEnd = byRecord.starts[keyGroup + 1] as number;
    const slotsEnd = bySlot.starts[keyGroup + 1] as number;
    const entryCount = recordsEnd - (byRecord.starts[keyGroup] as number) + slotsEnd - (bySlot.starts[keyGroup] as number);
    if (entryCount === 0) continue;
    const start = openBlock(writer, clockMs);
    for (let i = byRecord.starts[keyGroup] as number; i < recordsEnd; i++) {
      const at = records.at[byRecord.order[i] as number] as number;
      writer.raw(log, at + recordHeadBytes, at + recordHeadBytes + log.readUInt32LE(at + 2));
    }
    for (let i = bySlot.starts[keyGroup] as number; i < slotsEnd; i++) source.writePut(slots[bySlot.order[i] as number] as number, writer);
    closeBlock(writer, start);
    spans.push({ keyGroup, entryCount, start, end: writer.length });
  }
  return spans.map(({ keyGroup, entryCount, start, end }) => ({
    table: source.name,
    keyGroup,
    entryCount,
    bytes: writer.buffer.subarray(start, end),
  }));
}
