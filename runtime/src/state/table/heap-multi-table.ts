// A keyed table with several entries per key, on the heap: a slot per (namespace, key), and its entries by sub-key.
import { ByteReader } from "../../base/bytes.ts";
import type { Rows } from "../../core/batch/batch.ts";
import { KeyBatch } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { KeyedMultiTable, SlotVisitor, SubKey, TableSpec } from "../../core/ports/state.ts";
import { schema, type Schema } from "../../core/schema/schema.ts";
import type { RowAdapter } from "../../core/schema/evolution.ts";
import type { EntryCursor, EntryIdentity } from "../entry-codec.ts";
import { overflowOf, Spill, visitUnits } from "../spill/spill.ts";
import type { SpillOwner } from "../spill/spill-owner.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";
import { sampledBytes } from "../spill/value-size.ts";
import { EntryStore } from "./entry-store.ts";
import { visitHeap, visitList, visitSome } from "./entry-visits.ts";
import { copyKeyOf } from "./key-columns.ts";
import type { TableOptions } from "./heap-table.ts";
import { Namespaces } from "./namespaces.ts";
import { SlotBuffer } from "../slots/slot-buffer.ts";
import { isReferenced, isUnwritten, SlotTable } from "../slots/slot-table.ts";
import { isExpired, neverExpired } from "./time-to-live.ts";
import type { SlotLists } from "../slots/slot-lists.ts";
import { loadSubKey, sortBySubKey, subKeyAt, subKeyLayout } from "./sub-keys.ts";

/**
 * Two slot tables: `groups` holds the keys, once each, and in `entries` the list of a slot is its group and its key the
 * sub-key. The links of that list are the insertion order of a key's entries.
 */
export class HeapMultiTable implements KeyedMultiTable {
  readonly spec: TableSpec & { readonly subKey: "number" | "string" };
  readonly entries: EntryStore;
  readonly #groups: SlotTable;
  readonly #slots: SlotTable;
  readonly #links: SlotLists;
  readonly #namespaces = new Namespaces();
  readonly #subKeys: KeyBatch;
  readonly #restoreKeys: KeyBatch;
  readonly #found = new SlotBuffer();
  readonly #drop = (slot: number): void => this.delete(slot);
  readonly spill: Spill | null;
  /** Entries whose keys are not on the heap. */
  #spilledEntries = 0;
  #restoring = false;
  #measured = 0;
  #operations = 0;

  constructor(spec: TableSpec & { readonly subKey: "number" | "string" }, options: TableOptions) {
    this.spec = spec;
    this.#groups = new SlotTable(spec.key.form, noColumns, false);
    const layout = subKeyLayout(spec.subKey);
    this.#subKeys = new KeyBatch(layout);
    this.#restoreKeys = new KeyBatch(spec.key);
    this.entries = new EntryStore(layout.form, this.#identity(), {
      ...options,
      name: spec.name,
      value: spec.value,
      ttl: spec.ttl,
      overflow: overflowOf(options.spill),
    });
    this.#slots = this.entries.slots;
    this.#links = this.#slots.link();
    this.spill = options.spill === undefined ? null : new Spill(this.#owner(), options.spill);
  }

  get columns(): SlotTable["columns"] {
    return this.#slots.columns;
  }

  get size(): number {
    return this.#slots.count + this.#spilledEntries;
  }

  entriesOf(keys: KeyBatch, k: number, namespace: number): { readonly slots: Int32Array; readonly count: number } {
    const found = this.#found.clear();
    this.#prepareSpill();
    const group = this.#groupOf(keys, k, namespace);
    if (group < 0) return found;
    const cutOffMs = this.entries.cutOffMs();
    const refresh = this.entries.expiry?.refreshOnRead ?? false;
    for (let slot = this.#links.first(group); slot >= 0; ) {
      const next = this.#links.next(slot);
      if (this.entries.isExpired(slot, cutOffMs)) this.delete(slot);
      else {
        found.push(slot);
        if (refresh) this.touch(slot);
      }
      slot = next;
    }
    return found;
  }

  lastOf(keys: KeyBatch, k: number, namespace: number): number {
    const cutOffMs = this.entries.cutOffMs();
    this.#prepareSpill();
    for (;;) {
      const group = this.#groupOf(keys, k, namespace);
      const slot = group < 0 ? -1 : this.#links.last(group);
      if (slot < 0 || !this.entries.isExpired(slot, cutOffMs)) return slot;
      this.delete(slot);
    }
  }

  find(keys: KeyBatch, k: number, namespace: number, subKey: SubKey): number {
    this.#prepareSpill();
    const group = this.#groupOf(keys, k, namespace);
    if (group < 0) return -1;
    const slot = this.#findIn(group, subKey);
    if (slot >= 0 && this.entries.expiry?.refreshOnRead === true) this.touch(slot);
    return slot;
  }

  upsert(keys: KeyBatch, k: number, namespace: number, subKey: SubKey): number {
    this.entries.sweep(4, this.entries.cutOffMs(), this.#drop);
    this.#prepareSpill();
    // Expired or not: looking first may take the group's last entry out, and the group with it.
    let group = this.#groupOf(keys, k, namespace);
    const found = group < 0 ? -1 : this.#findIn(group, subKey);
    if (found >= 0) {
      this.touch(found);
      return found;
    }
    group = this.#groupFor(keys, k, namespace);
    this.#markChanged(group);
    return this.entries.insert(loadSubKey(this.#subKeys, subKey), 0, group, groupSalt(group), this.entries.expiry?.nowMs() ?? 0);
  }

  touch(slot: number): void {
    this.entries.touch(slot);
    this.#markChanged(this.#slots.keys.listOf(slot));
  }

  // A key is written below as a whole, so a change of any of its entries is a change of it.
  #markChanged(group: number): void {
    this.#groups.flags[group] = (this.#groups.flags[group] as number) | isUnwritten | isReferenced;
  }

  delete(slot: number): void {
    const group = this.#slots.keys.listOf(slot);
    this.#markChanged(group);
    this.entries.remove(slot, groupSalt(group));
    this.#dropGroupIfEmpty(group);
  }

  deleteAll(keys: KeyBatch, k: number, namespace: number): void {
    this.#prepareSpill();
    const group = this.#groupOf(keys, k, namespace);
    if (group < 0) return;
    for (let slot = this.#links.first(group); slot >= 0; ) {
      const next = this.#links.next(slot);
      this.entries.remove(slot, groupSalt(group));
      slot = next;
    }
    this.#dropGroupIfEmpty(group);
  }

  subKeyOf(slot: number): SubKey {
    return subKeyAt(this.#slots.keys, slot);
  }

  namespaceOf(slot: number): number {
    return this.#namespaces.valueOf(this.#groups.keys.listOf(this.#slots.keys.listOf(slot)));
  }

  visitAll(visitor: SlotVisitor): void {
    this.spill?.makeRoom(visitUnits);
    visitHeap(this.entries, this.#drop, visitor);
    this.spill?.visitSpilled(undefined, (groups, groupCount) => {
      const { slots, count } = this.#entriesIn(groups, groupCount);
      visitSome(this.entries, slots, count, this.#drop, visitor);
    });
  }

  #entriesIn(groups: Int32Array, groupCount: number): SlotBuffer {
    const found = new SlotBuffer();
    for (let i = 0; i < groupCount; i++) {
      for (let slot = this.#links.first(groups[i] as number); slot >= 0; slot = this.#links.next(slot)) found.push(slot);
    }
    return found;
  }

  copyKey(slot: number, rows: Rows, row: number, targets: readonly number[]): void {
    copyKeyOf(this.#groups.keys, this.spec.key, this.#slots.keys.listOf(slot), rows, row, targets);
  }

  keyBytes(slot: number): Uint8Array {
    return this.#groups.keys.copy(this.#slots.keys.listOf(slot));
  }

  /** Bytes that the table takes on the heap, about. */
  get heapBytes(): number {
    return this.#groups.sizeBytes + this.entries.sizeBytes + sampledBytes(this.#slots, this.#measured++);
  }

  onWatermark(timeMs: number): void {
    if (!this.entries.onWatermark(timeMs)) return;
    const { flags, highWater } = this.#groups;
    for (let group = 0; group < highWater; group++) if (flags[group] !== 0) this.#markChanged(group);
    this.spill?.visitSpilled(undefined, (groups, groupCount) => {
      const { slots, count } = this.#entriesIn(groups, groupCount);
      for (let i = 0; i < count; i++) {
        const slot = slots[i] as number;
        if (this.entries.restamp(slot, timeMs)) this.#markChanged(this.#slots.keys.listOf(slot));
      }
    });
  }

  capture(scratch?: CaptureScratch): StateBlock[] {
    return this.entries.capture(scratch);
  }

  /** Applies one stored change. */
  restore(cursor: EntryCursor, reader: ByteReader, decode: RowAdapter): void {
    this.#restoring = true;
    this.#prepareSpill();
    const keys = this.#restoreKeys.setFromBytes(reader.buffer, cursor.keyStart, cursor.keyEnd);
    let group = this.#groupOf(keys, 0, cursor.namespace);
    const subKey = loadSubKey(this.#subKeys, cursor.subKey);
    let slot = group < 0 ? -1 : this.#slots.find(subKey, 0, group, groupSalt(group));
    if (cursor.isDelete) {
      if (slot < 0) return;
      this.#slots.remove(slot, groupSalt(group));
      this.#markChanged(group);
      this.#dropGroupIfEmpty(group);
      return;
    }
    if (slot < 0) {
      group = this.#groupFor(keys, 0, cursor.namespace);
      slot = this.#slots.insert(subKey, 0, group, groupSalt(group));
    }
    this.#markChanged(group);
    this.entries.restoreInto(slot, cursor.stampMs, reader, decode);
  }

  /** Puts the entries of every key in the order of their sub-keys: stored blocks keep no order. */
  endRestore(): void {
    const { flags, highWater } = this.#groups;
    for (let group = 0; group < highWater; group++) if (flags[group] !== 0) sortBySubKey(this.#slots.keys, this.#links, group);
    this.#restoring = false;
  }

  // Everything that may take keys off the heap happens here, before a look-up.
  #prepareSpill(): void {
    if (this.spill === null) return;
    const cutOffMs = this.entries.cutOffMs();
    if (cutOffMs !== neverExpired && this.#operations++ % 64 === 0) {
      this.spill.sweep(
        (value) => this.#hasExpired(value, cutOffMs),
        (group) => visitList(this.entries, this.#links, group, this.#drop, () => {}),
      );
    }
    this.spill.makeRoom(1);
  }

  #hasExpired(value: Uint8Array, cutOffMs: number): boolean {
    const reader = new ByteReader(value);
    while (reader.remaining > 0) {
      if (isExpired(this.entries.readRecordHead(reader).stampMs, cutOffMs)) return true;
      this.entries.skipRecordValue(reader);
    }
    return false;
  }

  #groupOf(keys: KeyBatch, k: number, namespace: number): number {
    const list = this.#namespaces.find(namespace);
    if (list < 0) return -1;
    let group = this.#groups.find(keys, k, list, this.#namespaces.saltOf(list));
    if (this.spill === null) return group;
    if (group < 0) group = this.spill.load(keys, k, list);
    if (group >= 0) this.spill.used(group);
    return group;
  }

  #groupFor(keys: KeyBatch, k: number, namespace: number): number {
    const group = this.#groupOf(keys, k, namespace);
    if (group >= 0) return group;
    const list = this.#namespaces.acquire(namespace);
    this.#namespaces.added(list);
    return this.#groups.insert(keys, k, list, this.#namespaces.saltOf(list));
  }

  #findIn(group: number, subKey: SubKey): number {
    const slot = this.#slots.find(loadSubKey(this.#subKeys, subKey), 0, group, groupSalt(group));
    if (slot < 0 || !this.entries.isExpired(slot, this.entries.cutOffMs())) return slot;
    this.delete(slot);
    return -1;
  }

  #dropGroupIfEmpty(group: number): void {
    if (this.#links.first(group) >= 0) return;
    const list = this.#groups.keys.listOf(group);
    this.spill?.dropped(group);
    this.#groups.remove(group, this.#namespaces.saltOf(list));
    this.#namespaces.removed(list);
  }

  #owner(): SpillOwner {
    return {
      layout: this.spec.key,
      units: this.#groups,
      stores: [this.#groups, this.#slots],
      namespaces: this.#namespaces,
      heapBytes: () => this.heapBytes,
      writeUnit: (group, writer) => {
        // What is written during a restore is not looked at again when it ends, so it is put in order now.
        if (this.#restoring) sortBySubKey(this.#slots.keys, this.#links, group);
        for (let slot = this.#links.first(group); slot >= 0; slot = this.#links.next(slot)) this.entries.writeRecord(slot, writer);
      },
      readUnit: (group, value) => {
        const reader = new ByteReader(value);
        while (reader.remaining > 0) {
          const { subKey } = this.entries.readRecordHead(reader);
          const slot = this.#slots.insert(loadSubKey(this.#subKeys, subKey), 0, group, groupSalt(group));
          this.entries.readRecordValue(slot, reader);
          this.#spilledEntries--;
        }
      },
      releaseUnit: (group) => {
        for (let slot = this.#links.first(group); slot >= 0; ) {
          const next = this.#links.next(slot);
          this.#slots.remove(slot, groupSalt(group));
          this.#spilledEntries++;
          slot = next;
        }
        this.#groups.remove(group, this.#namespaces.saltOf(this.#groups.keys.listOf(group)));
      },
      identify: (value) => this.entries.readRecordHead(new ByteReader(value)),
    };
  }

  #identity(): EntryIdentity {
    const group = (slot: number): number => this.#slots.keys.listOf(slot);
    return {
      integerKey: this.spec.key.form === "integer",
      subKey: this.spec.subKey,
      hashOf: (slot) => this.#groups.keys.hashOf(group(slot)),
      namespaceOf: (slot) => this.namespaceOf(slot),
      keyLength: (slot) => this.#groups.keys.keyLength(group(slot)),
      writeKey: (slot, writer) => this.#groups.keys.write(group(slot), writer),
      subKeyOf: (slot) => this.subKeyOf(slot),
    };
  }
}

const noColumns: Schema = schema({});

// Sub-keys repeat from key to key, so their hashes are told apart by the group.
function groupSalt(group: number): number {
  return Math.imul(group + 1, 0x85ebca6b);
}
