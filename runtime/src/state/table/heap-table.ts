// A keyed table on the heap: entries by (namespace, key) in a slot table, looked up a batch at a time.
import type { Clock } from "../../base/clock.ts";
import { ByteReader } from "../../base/bytes.ts";
import type { Rows } from "../../core/batch/batch.ts";
import { KeyBatch } from "../../core/keys/key-batch.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { KeyedTable, SlotVisitor, TableSpec } from "../../core/ports/state.ts";
import type { RowAdapter } from "../../core/schema/evolution.ts";
import type { EntryCursor } from "../entry-codec.ts";
import { overflowOf, Spill, type SpillOptions, visitUnits } from "../spill/spill.ts";
import type { SpillOwner } from "../spill/spill-owner.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";
import { sampledBytes } from "../spill/value-size.ts";
import { EntryStore } from "./entry-store.ts";
import { visitHeap, visitList, visitSome } from "./entry-visits.ts";
import { keyIdentity } from "./key-identity.ts";
import { copyKeyOf, loadKeyOf } from "./key-columns.ts";
import { Namespaces } from "./namespaces.ts";
import { isReferenced, type SlotTable } from "../slots/slot-table.ts";
import { isExpired, neverExpired } from "./time-to-live.ts";

const noneCreated = 0;

export interface TableOptions {
  readonly clock: Clock;
  readonly maxParallelism: number;
  /** The store below the heap part; without it all entries are on the heap. */
  readonly spill?: SpillOptions;
}

export class HeapTable implements KeyedTable {
  readonly spec: TableSpec;
  readonly entries: EntryStore;
  created: Int32Array = new Int32Array(64);
  readonly #slots: SlotTable;
  readonly #namespaces = new Namespaces();
  #misses: Int32Array = new Int32Array(64);
  readonly #restoreKeys: KeyBatch;
  readonly #drop = (slot: number): void => this.delete(slot);
  readonly spill: Spill | null;
  #batches = 0;

  constructor(spec: TableSpec, options: TableOptions) {
    this.spec = spec;
    const ids = keyIdentity({
      integerKey: spec.key.form === "integer",
      keys: () => this.#slots.keys,
      namespaceOf: (slot) => this.namespaceOf(slot),
    });
    this.entries = new EntryStore(spec.key.form, ids, {
      ...options,
      name: spec.name,
      value: spec.value,
      ttl: spec.ttl,
      overflow: overflowOf(options.spill),
    });
    this.#slots = this.entries.slots;
    this.#restoreKeys = new KeyBatch(spec.key);
    this.spill = options.spill === undefined ? null : new Spill(this.#owner(), options.spill);
  }

  get columns(): SlotTable["columns"] {
    return this.#slots.columns;
  }

  get size(): number {
    return this.#slots.count + (this.spill?.spilled.count ?? 0);
  }

  findAll(keys: KeyBatch, namespaces: Float64Array | null, slots: Int32Array, create: boolean): number {
    const { count } = keys;
    if (this.#misses.length < count) {
      this.#misses = new Int32Array(count * 2);
      this.created = new Int32Array(count * 2);
    }
    const cutOffMs = this.entries.cutOffMs();
    this.entries.sweep(2 * count + 16, cutOffMs, this.#drop);
    if (this.spill !== null) this.#prepareSpill(this.spill, count, cutOffMs);
    let missCount = namespaces === null ? this.#lookUpRun(keys, 0, count, 0, slots, 0) : this.#lookUpRuns(keys, namespaces, slots);
    if (this.spill !== null) missCount = this.#loadMissing(this.spill, keys, namespaces, slots, missCount);
    if (this.entries.expiry !== null) missCount = this.#dropExpired(slots, count, cutOffMs, missCount);
    return create && missCount > 0 ? this.#createMissing(keys, namespaces, slots, missCount) : noneCreated;
  }

  // Everything that may take entries off the heap happens here, before the look-up.
  #prepareSpill(spill: Spill, count: number, cutOffMs: number): void {
    if (cutOffMs !== neverExpired && this.#batches++ % 8 === 0) {
      spill.sweep(
        (value) => isExpired(this.entries.readRecordHead(new ByteReader(value)).stampMs, cutOffMs),
        (slot) => {
          if (this.entries.isExpired(slot, cutOffMs)) this.delete(slot);
        },
      );
    }
    spill.makeRoom(count);
  }

  #loadMissing(spill: Spill, keys: KeyBatch, namespaces: Float64Array | null, slots: Int32Array, missCount: number): number {
    const { flags } = this.#slots;
    for (let k = 0; k < keys.count; k++) {
      const slot = slots[k] as number;
      if (slot >= 0) flags[slot] = (flags[slot] as number) | isReferenced;
    }
    const listOf = (k: number): number => this.#namespaces.find(namespaces === null ? 0 : (namespaces[k] as number));
    return spill.loadMissing(keys, listOf, slots, this.#misses, missCount);
  }

  // Namespaces are mostly equal within a batch, or in runs: one list is looked up per run.
  #lookUpRuns(keys: KeyBatch, namespaces: Float64Array, slots: Int32Array): number {
    const { count } = keys;
    let missCount = 0;
    for (let from = 0; from < count; ) {
      const namespace = namespaces[from] as number;
      let to = from + 1;
      while (to < count && namespaces[to] === namespace) to++;
      missCount = this.#lookUpRun(keys, from, to, namespace, slots, missCount);
      from = to;
    }
    return missCount;
  }

  #lookUpRun(keys: KeyBatch, from: number, to: number, namespace: number, slots: Int32Array, missCount: number): number {
    const list = this.#namespaces.find(namespace);
    if (list >= 0) return this.#slots.lookUp(keys, from, to, list, this.#namespaces.saltOf(list), slots, this.#misses, missCount);
    const misses = this.#misses;
    let missed = missCount;
    for (let k = from; k < to; k++) {
      slots[k] = -1;
      misses[missed++] = k;
    }
    return missed;
  }

  // Expired entries that were found are taken out and become misses; the others' lives are prolonged where reads do that.
  #dropExpired(slots: Int32Array, count: number, cutOffMs: number, missCount: number): number {
    const { entries } = this;
    const { flags, stamps } = this.#slots;
    const nowMs = entries.expiry?.nowMs() ?? 0;
    const refresh = entries.expiry?.refreshOnRead ?? false;
    let missed = missCount;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      if (slot < 0) continue;
      // A key that is in the batch twice has its slot freed at the first one.
      if (flags[slot] === 0 || entries.isExpired(slot, cutOffMs)) {
        if (flags[slot] !== 0) this.delete(slot);
        slots[k] = -1;
        this.#misses[missed++] = k;
      } else if (refresh && stamps[slot] !== nowMs) entries.touch(slot);
    }
    return missed;
  }

  #createMissing(keys: KeyBatch, namespaces: Float64Array | null, slots: Int32Array, missCount: number): number {
    const nowMs = this.entries.expiry?.nowMs() ?? 0;
    const { created } = this;
    let createdCount = 0;
    let namespace = Number.NaN;
    let list = -1;
    let salt = 0;
    for (let i = 0; i < missCount; i++) {
      const k = this.#misses[i] as number;
      const wanted = namespaces === null ? 0 : (namespaces[k] as number);
      if (wanted !== namespace) {
        namespace = wanted;
        list = this.#listFor(namespace);
        salt = this.#namespaces.saltOf(list);
      }
      // An earlier position of this batch may have created it.
      let slot = this.#slots.find(keys, k, list, salt);
      if (slot < 0) {
        slot = this.entries.insert(keys, k, list, salt, nowMs);
        this.#namespaces.added(list);
        created[createdCount++] = slot;
      }
      slots[k] = slot;
    }
    return createdCount;
  }

  // While all entries are in one namespace no list is kept: the table is the list.
  #listFor(namespace: number): number {
    const list = this.#namespaces.acquire(namespace);
    if (this.#slots.links === null && this.#namespaces.count > 1) this.#slots.link();
    return list;
  }

  find(keys: KeyBatch, k: number, namespace: number, create: boolean): number {
    const cutOffMs = this.entries.cutOffMs();
    this.entries.sweep(4, cutOffMs, this.#drop);
    this.spill?.makeRoom(1);
    let list = this.#namespaces.find(namespace);
    let slot = this.#findIn(keys, k, list);
    if (slot >= 0 && this.entries.isExpired(slot, cutOffMs)) {
      this.delete(slot);
      slot = -1;
    }
    const expiry = this.entries.expiry;
    if (slot >= 0) {
      if (expiry?.refreshOnRead === true && this.#slots.stamps[slot] !== expiry.nowMs()) this.entries.touch(slot);
      return slot;
    }
    if (!create) return -1;
    list = this.#listFor(namespace);
    this.#namespaces.added(list);
    return this.entries.insert(keys, k, list, this.#namespaces.saltOf(list), expiry?.nowMs() ?? 0);
  }

  #findIn(keys: KeyBatch, k: number, list: number): number {
    if (list < 0) return -1;
    const slot = this.#slots.find(keys, k, list, this.#namespaces.saltOf(list));
    if (this.spill === null) return slot;
    if (slot < 0) return this.spill.load(keys, k, list);
    this.#slots.flags[slot] = (this.#slots.flags[slot] as number) | isReferenced;
    return slot;
  }

  touch(slot: number): void {
    this.entries.touch(slot);
  }

  touchAll(slots: Int32Array, count: number): void {
    this.entries.touchAll(slots, count);
  }

  delete(slot: number): void {
    const list = this.#slots.keys.listOf(slot);
    this.spill?.dropped(slot);
    this.entries.remove(slot, this.#namespaces.saltOf(list));
    this.#namespaces.removed(list);
  }

  visitNamespace(namespace: number, visitor: SlotVisitor): void {
    this.spill?.makeRoom(visitUnits);
    const list = this.#namespaces.find(namespace);
    if (list < 0) return;
    const { links } = this.#slots;
    if (links === null) visitHeap(this.entries, this.#drop, visitor);
    else visitList(this.entries, links, list, this.#drop, visitor);
    this.#visitSpilled(namespace, visitor);
  }

  visitAll(visitor: SlotVisitor): void {
    this.spill?.makeRoom(visitUnits);
    visitHeap(this.entries, this.#drop, visitor);
    this.#visitSpilled(undefined, visitor);
  }

  #visitSpilled(namespace: number | undefined, visitor: SlotVisitor): void {
    this.spill?.visitSpilled(namespace, (slots, count) => visitSome(this.entries, slots, count, this.#drop, visitor));
  }

  namespaces(upTo: number = Number.POSITIVE_INFINITY): readonly number[] {
    const cutOffMs = this.entries.cutOffMs();
    const found: number[] = [];
    for (const namespace of Array.from(this.#namespaces.values())) {
      if (namespace <= upTo && (cutOffMs === neverExpired || this.#hasLive(namespace))) found.push(namespace);
    }
    return found.sort((a, b) => a - b);
  }

  #hasLive(namespace: number): boolean {
    let live = false;
    this.visitNamespace(namespace, () => {
      live = true;
    });
    return live;
  }

  namespaceOf(slot: number): number {
    return this.#namespaces.valueOf(this.#slots.keys.listOf(slot));
  }

  hashOf(slot: number): number {
    return this.#slots.keys.hashOf(slot);
  }

  copyKey(slot: number, rows: Rows, row: number, targets: readonly number[]): void {
    copyKeyOf(this.#slots.keys, this.spec.key, slot, rows, row, targets);
  }

  keyBytes(slot: number): Uint8Array {
    return this.#slots.keys.copy(slot);
  }

  /** Makes `target` hold the key of a slot. */
  loadKey(slot: number, target: KeyBatch): void {
    loadKeyOf(this.#slots.keys, slot, target);
  }

  onWatermark(timeMs: number): void {
    if (!this.entries.onWatermark(timeMs)) return;
    this.spill?.visitSpilled(undefined, (slots, count) => {
      for (let i = 0; i < count; i++) this.entries.restamp(slots[i] as number, timeMs);
    });
  }

  capture(scratch?: CaptureScratch): StateBlock[] {
    return this.entries.capture(scratch);
  }

  /** Applies one stored change. */
  restore(cursor: EntryCursor, reader: ByteReader, decode: RowAdapter): void {
    const keys = this.#restoreKeys.setFromBytes(reader.buffer, cursor.keyStart, cursor.keyEnd);
    this.spill?.makeRoom(1);
    let list = this.#namespaces.find(cursor.namespace);
    let slot = this.#findIn(keys, 0, list);
    if (cursor.isDelete) {
      if (slot >= 0) {
        this.spill?.dropped(slot);
        this.#slots.remove(slot, this.#namespaces.saltOf(list));
        this.#namespaces.removed(list);
      }
      return;
    }
    if (slot < 0) {
      list = this.#listFor(cursor.namespace);
      this.#namespaces.added(list);
      slot = this.#slots.insert(keys, 0, list, this.#namespaces.saltOf(list));
    }
    this.entries.restoreInto(slot, cursor.stampMs, reader, decode);
  }

  #owner(): SpillOwner {
    const slots = this.#slots;
    return {
      layout: this.spec.key,
      units: slots,
      stores: [slots],
      namespaces: this.#namespaces,
      heapBytes: () => this.heapBytes,
      writeUnit: (slot, writer) => this.entries.writeRecord(slot, writer),
      readUnit: (slot, value) => {
        const reader = new ByteReader(value);
        this.entries.readRecordHead(reader);
        this.entries.readRecordValue(slot, reader);
      },
      releaseUnit: (slot) => slots.remove(slot, this.#namespaces.saltOf(slots.keys.listOf(slot))),
      identify: (value) => this.entries.readRecordHead(new ByteReader(value)),
    };
  }

  /** Bytes that the table takes on the heap, about. */
  get heapBytes(): number {
    return this.entries.sizeBytes + sampledBytes(this.#slots, this.#batches++);
  }
}
