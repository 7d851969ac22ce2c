// A columnar hash table: entries in numbered slots, found by (list, key), with values in columns whose row is the slot.
import { Column } from "../../core/batch/column.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyForm } from "../../core/keys/key-layout.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { mix, SlotIndex } from "./slot-index.ts";
import { SlotKeys } from "./slot-keys.ts";
import { SlotLists } from "./slot-lists.ts";
import { lookUpBytes, lookUpIntegers, lookUpOne } from "./slot-search.ts";

/** Marks in `SlotTable.flags`. */
export const isLive = 1;
/** Changed since the last capture. */
export const isDirty = 2;
/** A capture that was taken may hold it: deleting it must leave a tombstone in the next one. */
export const isPersisted = 4;
/** The store below the heap holds no version of it, or an older one. */
export const isUnwritten = 8;
/** The store below the heap holds some version of it. */
export const isOnDisk = 16;
/** Used since the eviction clock passed. */
export const isReferenced = 32;

const touchMarks = isDirty | isUnwritten | isReferenced;
const firstCapacity = 64;
const noSlot = -1;

export class SlotTable {
  readonly columns: readonly Column[];
  readonly keys: SlotKeys;
  readonly index: SlotIndex = new SlotIndex();
  /** The slots of each list; null until the owner asks for lists. */
  links: SlotLists | null = null;
  flags: Uint8Array = new Uint8Array(0);
  /** Per slot when it was written (or read), in ms; empty for a table without time to live. */
  stamps: Float64Array = new Float64Array(0);
  /** True where something else sees to the table's size: then it grows by little when it must after all. */
  bounded = false;
  count = 0;
  /** Slots `[0, highWater)` have been used. */
  highWater = 0;
  capacity = 0;
  /** Slots marked dirty, some perhaps twice or no longer. */
  dirtySlots: Int32Array = new Int32Array(64);
  dirtyCount = 0;
  readonly #stamped: boolean;
  readonly #textColumns: readonly Column[];
  #free = noSlot;

  constructor(form: KeyForm, value: Schema, stamped: boolean) {
    this.keys = new SlotKeys(form);
    this.columns = value.fields.map((field) => new Column(field.column, firstCapacity));
    this.#textColumns = this.columns.filter((column) => column.kind === "text");
    this.#stamped = stamped;
    this.ensure(firstCapacity);
  }

  /** Looks up keys `[from, to)`, all in one list; the positions that are not there are appended to `misses`. */
  lookUp(
    keys: KeyBatch,
    from: number,
    to: number,
    list: number,
    salt: number,
    slots: Int32Array,
    misses: Int32Array,
    missCount: number,
  ): number {
    return this.keys.integer
      ? lookUpIntegers(this.index, this.keys.heads, keys, from, to, list, salt, slots, misses, missCount)
      : lookUpBytes(this.index, this.keys.heads, this.keys.arena, keys, from, to, list, salt, slots, misses, missCount);
  }

  /** The slot of key `k`, -1 when it is not there. */
  find(keys: KeyBatch, k: number, list: number, salt: number): number {
    return lookUpOne(this.index, this.keys.heads, this.keys.arena, keys, k, list, salt);
  }

  /** Adds an entry that is not there; it is live and dirty, with empty values. */
  insert(keys: KeyBatch, k: number, list: number, salt: number): number {
    let slot = this.#free;
    if (slot !== noSlot) this.#free = this.keys.hashOf(slot);
    else {
      if (this.highWater === this.capacity)
        this.ensure(this.bounded ? this.capacity + Math.max(64, this.capacity >> 4) : this.capacity * 2);
      slot = this.highWater++;
    }
    this.keys.set(slot, keys, k, list, this.highWater);
    this.index.insert(mix(keys.hashes[k] as number, salt), slot);
    this.links?.append(list, slot);
    this.flags[slot] = isLive;
    for (const column of this.#textColumns) column.setText(slot, "");
    this.count++;
    return slot;
  }

  /** Takes an entry out and frees its slot. */
  remove(slot: number, salt: number): void {
    const { keys } = this;
    this.index.remove(mix(keys.hashOf(slot), salt), slot);
    this.links?.remove(keys.listOf(slot), slot);
    keys.drop(slot);
    for (const column of this.columns) clearValue(column, slot);
    this.flags[slot] = 0;
    keys.heads[slot * 4] = this.#free;
    this.#free = slot;
    this.count--;
  }

  /** Marks an entry changed. */
  touch(slot: number): void {
    const marks = this.flags[slot] as number;
    this.flags[slot] = marks | touchMarks;
    if ((marks & isDirty) === 0) this.#pushDirty(slot);
  }

  touchAll(slots: Int32Array, count: number): void {
    const { flags } = this;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      const marks = flags[slot] as number;
      if ((marks & touchMarks) === touchMarks) continue;
      flags[slot] = marks | touchMarks;
      if ((marks & isDirty) === 0) this.#pushDirty(slot);
    }
  }

  /** Starts to keep the slots of each list linked. */
  link(): SlotLists {
    if (this.links !== null) return this.links;
    const links = new SlotLists();
    links.ensureSlots(this.capacity);
    for (let slot = 0; slot < this.highWater; slot++) {
      if ((this.flags[slot] as number) !== 0) links.append(this.keys.listOf(slot), slot);
    }
    this.links = links;
    return links;
  }

  /** Bytes of the arrays; texts and objects in columns are not counted. */
  get sizeBytes(): number {
    return this.#slotBytes * this.capacity + this.keys.arena.length + this.index.sizeBytes + this.dirtySlots.byteLength;
  }

  /** What `sizeBytes` will be once `capacity` slots are in use, and each has been changed. */
  sizeBytesAt(capacity: number): number {
    const arena = this.keys.arenaBytesAt(capacity, this.count);
    return this.#slotBytes * capacity + arena + this.index.sizeBytesAt(capacity) + Math.max(this.dirtySlots.byteLength, 8 * capacity);
  }

  /** Bytes of the arrays per slot: head, mark, stamp, links, and what each column has. */
  get #slotBytes(): number {
    let bytes = 16 + 1 + (this.#stamped ? 8 : 0) + (this.links === null ? 0 : 8);
    for (const { kind, nulls } of this.columns) bytes += (kind === "text" ? 16 : 8) + (nulls === null ? 0 : 1);
    return bytes;
  }

  /** Makes room for `capacity` slots. */
  ensure(capacity: number): void {
    if (capacity <= this.capacity) return;
    this.keys.ensure(capacity);
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
    if (this.#stamped) {
      const stamps = new Float64Array(capacity);
      stamps.set(this.stamps);
      this.stamps = stamps;
    }
    this.links?.ensureSlots(capacity);
    for (const column of this.columns) resizeColumn(column, capacity);
    this.capacity = capacity;
  }

  #pushDirty(slot: number): void {
    if (this.dirtyCount === this.dirtySlots.length) this.#makeRoomForDirty();
    this.dirtySlots[this.dirtyCount++] = slot;
  }

  // Entries that come and go between captures leave their slots in the list. When it is twice as long as the table
  // it is read off the flags again, so that it stays bounded even where nobody ever captures.
  #makeRoomForDirty(): void {
    if (this.dirtySlots.length < this.capacity * 2) {
      const grown = new Int32Array(this.dirtySlots.length * 2);
      grown.set(this.dirtySlots);
      this.dirtySlots = grown;
      return;
    }
    let count = 0;
    for (let slot = 0; slot < this.highWater; slot++) {
      // The slot that is being pushed has its mark already; it is appended by the caller.
      if (((this.flags[slot] as number) & isDirty) !== 0) this.dirtySlots[count++] = slot;
    }
    this.dirtyCount = count;
  }
}

// A column that is asked to grow doubles; a table that must keep to a budget says itself how far.
function resizeColumn(column: Column, capacity: number): void {
  if (column.kind === "number" || column.kind === "int64") {
    const numbers = new Float64Array(capacity);
    numbers.set(column.numbers.subarray(0, column.capacity));
    column.numbers = numbers;
  } else if (column.kind === "text") {
    const starts = new Int32Array(capacity).fill(-1);
    starts.set(column.starts.subarray(0, column.capacity));
    column.starts = starts;
    const ends = new Int32Array(capacity);
    ends.set(column.ends.subarray(0, column.capacity));
    column.ends = ends;
  }
  if (column.nulls !== null) {
    const nulls = new Uint8Array(capacity);
    nulls.set(column.nulls.subarray(0, column.capacity));
    column.nulls = nulls;
  }
  column.capacity = capacity;
}

export function clearValue(column: Column, slot: number): void {
  if (column.nulls !== null) column.nulls[slot] = 0;
  if (column.kind === "number") column.numbers[slot] = 0;
  else if (column.kind === "int64") {
    column.numbers[slot] = 0;
    column.exact?.delete(slot);
  } else if (column.kind === "text") column.setText(slot, "");
  else column.objects[slot] = undefined;
}
