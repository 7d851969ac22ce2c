// The entries of one state table: slots, with their changes since the last capture, their time to live, and restore.
import type { Clock } from "../../base/clock.ts";
import type { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { rowCodec, type RowCodec } from "../../core/codec/row-codec.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import { keyGroupOf } from "../../core/keys/key-batch.ts";
import type { KeyForm } from "../../core/keys/key-layout.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { TimeToLive } from "../../core/ports/state.ts";
import type { RowAdapter } from "../../core/schema/evolution.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { type EntryCursor, entryCursor, type EntryIdentity, readEntryHead, writeEntryHead } from "../entry-codec.ts";
import type { CaptureScratch, ChangeOverflow } from "../spill/spill-store.ts";
import { type BlockSource, buildBlocks } from "./block-builder.ts";
import { ChangeLog } from "./change-log.ts";
import { clearValue, isDirty, isLive, isOnDisk, isPersisted, isUnwritten, SlotTable } from "../slots/slot-table.ts";
import { Expiry, isExpired, neverExpired } from "./time-to-live.ts";

export interface EntryStoreOptions {
  readonly name: string;
  readonly value: Schema;
  readonly ttl?: TimeToLive | undefined;
  readonly clock: Clock;
  readonly maxParallelism: number;
  readonly overflow?: ChangeOverflow | undefined;
}

export const recordLengthBytes = 4;

export class EntryStore implements BlockSource {
  readonly name: string;
  readonly maxParallelism: number;
  readonly slots: SlotTable;
  readonly expiry: Expiry | null;
  readonly log: ChangeLog;
  readonly #cursor = entryCursor();
  readonly #codec: RowCodec;
  readonly #ids: EntryIdentity;
  #sweepAt = 0;

  constructor(form: KeyForm, ids: EntryIdentity, options: EntryStoreOptions) {
    this.name = options.name;
    this.maxParallelism = options.maxParallelism;
    this.log = new ChangeLog(options.overflow);
    this.expiry = options.ttl === undefined ? null : new Expiry(options.ttl, options.clock);
    this.slots = new SlotTable(form, options.value, this.expiry !== null);
    this.#codec = rowCodec(options.value);
    this.#ids = ids;
  }

  /** Adds an entry and marks it changed. */
  insert(keys: KeyBatch, k: number, list: number, salt: number, nowMs: number): number {
    const slot = this.slots.insert(keys, k, list, salt);
    this.slots.touch(slot);
    if (this.expiry !== null) this.slots.stamps[slot] = nowMs;
    return slot;
  }

  touch(slot: number): void {
    this.slots.touch(slot);
    if (this.expiry !== null) this.slots.stamps[slot] = this.expiry.nowMs();
  }

  touchAll(slots: Int32Array, count: number): void {
    this.slots.touchAll(slots, count);
    if (this.expiry === null) return;
    const { stamps } = this.slots;
    const nowMs = this.expiry.nowMs();
    for (let k = 0; k < count; k++) stamps[slots[k] as number] = nowMs;
  }

  /** Takes an entry out; a tombstone stays where a capture may hold the entry. */
  remove(slot: number, salt: number): void {
    if (((this.slots.flags[slot] as number) & isPersisted) !== 0) {
      const start = this.log.open(keyGroupOf(this.#ids.hashOf(slot), this.maxParallelism));
      writeEntryHead(this.log.writer, this.#ids, slot, true, undefined);
      this.log.close(start);
    }
    this.slots.remove(slot, salt);
  }

  cutOffMs(): number {
    return this.expiry === null ? neverExpired : this.expiry.cutOffMs();
  }

  isExpired(slot: number, cutOffMs: number): boolean {
    return this.expiry !== null && isExpired(this.slots.stamps[slot] as number, cutOffMs);
  }

  /** Looks at the next `count` slots and calls `remove` for the expired ones. */
  sweep(count: number, cutOffMs: number, remove: (slot: number) => void): void {
    if (cutOffMs === neverExpired || this.slots.highWater === 0) return;
    const { flags, stamps, highWater } = this.slots;
    let at = this.#sweepAt;
    for (let i = Math.min(count, highWater); i > 0; i--) {
      if (at >= highWater) at = 0;
      if (flags[at] !== 0 && (stamps[at] as number) <= cutOffMs) remove(at);
      at++;
    }
    this.#sweepAt = at;
  }

  /** Event time moves on. True for the first watermark: entries that were written before it are as old as it (`restamp`). */
  onWatermark(timeMs: number): boolean {
    if (this.expiry === null || !this.expiry.advance(timeMs)) return false;
    for (let slot = 0; slot < this.slots.highWater; slot++) if (this.slots.flags[slot] !== 0) this.restamp(slot, timeMs);
    return true;
  }

  /** Gives an entry that was written before the first watermark its time; true when it was one. */
  restamp(slot: number, timeMs: number): boolean {
    if (this.slots.stamps[slot] !== neverExpired) return false;
    this.slots.stamps[slot] = timeMs;
    this.slots.touch(slot);
    return true;
  }

  get sizeBytes(): number {
    return this.slots.sizeBytes + this.log.sizeBytes;
  }

  hashOf(slot: number): number {
    return this.#ids.hashOf(slot);
  }

  writePut(slot: number, writer: ByteWriter): void {
    writeEntryHead(writer, this.#ids, slot, false, this.expiry === null ? undefined : this.slots.stamps[slot]);
    this.#codec.encode(this.slots.columns, slot, writer);
  }

  /** The changes since the last capture. Its cost follows their number: the dirty list, and the log of deletions. */
  capture(scratch?: CaptureScratch): StateBlock[] {
    const { slots } = this;
    const { flags, dirtySlots } = slots;
    const cutOffMs = this.cutOffMs();
    const eventTime = this.expiry?.eventTime ?? false;
    let count = 0;
    for (let i = 0; i < slots.dirtyCount; i++) {
      const slot = dirtySlots[i] as number;
      const marks = flags[slot] as number;
      // A slot is in the list twice when its entry was deleted and it was used again; the first visit clears the mark.
      if ((marks & isDirty) === 0) continue;
      flags[slot] = marks & ~isDirty;
      // What has expired by now is not written. An older capture may hold it, with an older stamp: it is expired there too. In event
      // time that stamp may be the one from before the first watermark, which a restore takes for the first that it sees: written.
      if (this.isExpired(slot, cutOffMs) && !(eventTime && (marks & isPersisted) !== 0)) continue;
      flags[slot] = (marks & ~isDirty) | isPersisted;
      dirtySlots[count++] = slot;
    }
    slots.dirtyCount = 0;
    if (count === 0 && this.log.isEmpty) return [];
    const blocks = buildBlocks(this, this.log, dirtySlots, count, this.clockMs(), scratch);
    this.log.clear();
    return blocks;
  }

  /**
   * Blocks of the unchanged entries among the slots from `from` on, up to about `maxBytes`, and where to go on (-1 at the end).
   * Changed entries are left out: the next capture holds them, or their tombstone, or they will never have existed.
   */
  scan(from: number, until: number, maxBytes: number): { readonly blocks: StateBlock[]; readonly next: number } {
    const { flags } = this.slots;
    const cutOffMs = this.cutOffMs();
    const records = new ChangeLog();
    const { writer } = records;
    let slot = from;
    for (; slot < until && writer.length < maxBytes; slot++) {
      if (((flags[slot] as number) & (isLive | isDirty)) !== isLive || this.isExpired(slot, cutOffMs)) continue;
      const start = records.open(keyGroupOf(this.#ids.hashOf(slot), this.maxParallelism));
      this.writePut(slot, writer);
      records.close(start);
    }
    const blocks = writer.length === 0 ? [] : buildBlocks(this, records, new Int32Array(0), 0, this.clockMs());
    return { blocks, next: slot < until ? slot : -1 };
  }

  /** Fills a slot from a stored put. */
  restoreInto(slot: number, stampMs: number, reader: ByteReader, decode: RowAdapter): void {
    const { slots } = this;
    for (const column of slots.columns) clearValue(column, slot);
    decode(reader, slots.columns, slot);
    slots.flags[slot] = isLive | isPersisted | isUnwritten | ((slots.flags[slot] as number) & isOnDisk);
    if (this.expiry !== null) slots.stamps[slot] = this.expiry.settled(stampMs);
  }

  /** Appends an entry after its length, for the store below the heap; a change that no capture holds goes to the log too. */
  writeRecord(slot: number, writer: ByteWriter): void {
    const start = writer.length;
    writer.u32(0);
    this.writePut(slot, writer);
    writer.buffer.writeUInt32LE(writer.length - start - recordLengthBytes, start);
    const marks = this.slots.flags[slot] as number;
    if ((marks & isDirty) === 0) return;
    const record = this.log.open(keyGroupOf(this.#ids.hashOf(slot), this.maxParallelism));
    this.log.writer.raw(writer.buffer, start + recordLengthBytes, writer.length);
    this.log.close(record);
    this.slots.flags[slot] = (marks & ~isDirty) | isPersisted;
  }

  /** Reads the identity of the next record. The entry's value follows, for `readRecordValue`. */
  readRecordHead(reader: ByteReader): EntryCursor {
    reader.position += recordLengthBytes;
    readEntryHead(reader, this.#cursor, this.#ids.integerKey, this.#ids.subKey);
    return this.#cursor;
  }

  /** Fills an empty slot from the record whose head was read last. */
  readRecordValue(slot: number, reader: ByteReader): void {
    this.#codec.decode(reader, this.slots.columns, slot);
    this.slots.flags[slot] = (this.slots.flags[slot] as number) | isPersisted;
    if (this.expiry !== null) this.slots.stamps[slot] = this.#cursor.stampMs;
  }

  /** Moves past the value of the record whose head was read last. */
  skipRecordValue(reader: ByteReader): void {
    this.#codec.skip(reader);
  }

  /** The watermark as far as the table counts lives by it. */
  clockMs(): number {
    return this.expiry !== null && this.expiry.eventTime ? this.expiry.nowMs() : neverExpired;
  }
}
