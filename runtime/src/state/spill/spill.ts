// The heap part of a table over a spill store: what does not fit the budget is written below, and read back when it is used.
import { ByteWriter } from "../../base/bytes.ts";
import { KeyBatch, keyGroupOf } from "../../core/keys/key-batch.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import { isDirty, isOnDisk, isReferenced, isUnwritten, type SlotTable } from "../slots/slot-table.ts";
import type { BudgetUser, HeapBudget } from "./heap-budget.ts";
import { keyPrefix, writeDiskKey } from "./disk-key.ts";
import { mostRecent, RecentSlots } from "./recent-slots.ts";
import { SpilledCounts } from "./spilled-counts.ts";
import { sampledBytes } from "./value-size.ts";
import type { SpillOwner } from "./spill-owner.ts";
import type { ChangeOverflow, SpillScan, SpillStore } from "./spill-store.ts";

/** Where the change log of a table goes that does not fit its small part of the budget; undefined where nothing is spilled. */
export function overflowOf(options: SpillOptions | undefined): ChangeOverflow | undefined {
  return options?.store.overflow(options.table, Math.min(maxLogBytes, options.budget.totalBytes / 128));
}

export interface SpillOptions {
  readonly store: SpillStore;
  /** The table's number within the store. */
  readonly table: number;
  readonly budget: HeapBudget;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
}

/** How many units a visit has on the heap for its time; whoever visits makes room for them first. */
export const visitUnits = 256;
const scanBytes = 1 << 18;
const checkEvery = 512;
const mostOver = 1.5;
const maxLogBytes = 1 << 18;
const sweepBytes = 8192;

export class Spill implements BudgetUser {
  bytes = 0;
  /** Units that are not on the heap. */
  readonly spilled: SpilledCounts;
  readonly #owner: SpillOwner;
  readonly #options: SpillOptions;
  readonly #value = new ByteWriter(4096);
  readonly #key = new ByteWriter(256);
  readonly #found: KeyBatch;
  #hand = 0;
  readonly #recent = new RecentSlots();
  /** How many of the units that were used last an eviction spares. */
  #spared = 1;
  #untilCheck = 0;
  #sweep: SpillScan | null = null;

  constructor(owner: SpillOwner, options: SpillOptions) {
    this.#owner = owner;
    this.#options = options;
    this.#found = new KeyBatch(owner.layout);
    this.spilled = new SpilledCounts(options.budget.totalBytes / 32);
    for (const table of owner.stores) table.bounded = true;
    options.budget.join(this);
  }

  /** A unit was used: it is likely to be used soon again, and to read a large one anew for each row would take long. */
  used(slot: number): void {
    const { flags } = this.#owner.units;
    flags[slot] = (flags[slot] as number) | isReferenced;
    this.#recent.add(slot);
  }

  /** Makes room for `count` more units before a look-up, so that no slot that it returns is evicted by it. */
  makeRoom(count: number): void {
    for (const table of this.#owner.stores) {
      if (table.count + count <= table.capacity) continue;
      this.#measure();
      if (this.#grow(table, count)) continue;
      // Some more than asked for, so that single look-ups do not come here each time.
      const free = Math.max(count, table.capacity >> 6);
      this.#evictUntil(() => table.count + free <= table.capacity);
    }
    this.#untilCheck -= count;
    if (this.#untilCheck > 0) return;
    // A small budget is passed sooner.
    this.#untilCheck = Math.min(checkEvery, this.#options.budget.totalBytes / 2 ** 16);
    this.#measure();
    const allowance = this.#allowance();
    // What is spared may pass the budget by some of it, the unit that was used last by any amount: it has to be here to be used.
    this.#spared = this.bytes <= allowance * mostOver ? mostRecent : 1;
    if (this.bytes <= allowance) return;
    // Texts and objects have grown. What an eviction frees is known only after measuring again, so it goes in steps.
    const { units } = this.#owner;
    for (let step = 0; step < 16 && this.bytes > allowance && units.count > this.#spared; step++) {
      const wanted = units.count - Math.ceil(units.count / 8);
      this.#evictUntil(() => units.count <= wanted);
      this.#measure();
    }
  }

  #measure(): void {
    this.bytes = this.#owner.heapBytes() + this.spilled.sizeBytes;
  }

  // A little less than the budget gives: sizes of texts and objects are estimates, and batches come between two checks.
  #allowance(): number {
    return this.#options.budget.allowanceOf(this) * 0.92;
  }

  // Grows a table when it would still be within the budget once all of its new slots are used.
  #grow(table: SlotTable, count: number): boolean {
    const allowance = this.#allowance();
    const valueBytes = sampledBytes(table, count) / Math.max(1, table.count);
    for (const factor of [2, 1.5, 1.25]) {
      const capacity = Math.floor(table.capacity * factor);
      if (capacity < table.count + count) continue;
      if (this.bytes + table.sizeBytesAt(capacity) - table.sizeBytes + valueBytes * (capacity - table.count) > allowance) continue;
      table.ensure(capacity);
      this.#measure();
      return true;
    }
    return false;
  }

  // The clock algorithm (second chance): a unit that was used since the hand last passed stays for another round.
  #evictUntil(enough: () => boolean): void {
    const { units } = this.#owner;
    for (let looked = 0; looked < 3 * units.highWater && units.count > 0 && !enough(); looked++) {
      if (this.#hand >= units.highWater) this.#hand = 0;
      const slot = this.#hand++;
      const marks = units.flags[slot] as number;
      if (marks === 0 || this.#recent.isAmong(slot, this.#spared)) continue;
      if ((marks & isReferenced) === 0) this.#evict(slot);
      else units.flags[slot] = marks & ~isReferenced;
    }
  }

  #evict(slot: number): void {
    const { units } = this.#owner;
    if (((units.flags[slot] as number) & isUnwritten) !== 0) this.writeBack(slot);
    this.spilled.add(units.keys.listOf(slot), units.keys.hashOf(slot));
    this.#owner.releaseUnit(slot);
  }

  /** Writes a unit below; it stays on the heap. */
  writeBack(slot: number): void {
    const { units } = this.#owner;
    this.#value.reset();
    this.#owner.writeUnit(slot, this.#value);
    this.#options.store.put(this.#keyOf(slot), this.#value.view());
    units.flags[slot] = ((units.flags[slot] as number) & ~isUnwritten) | isOnDisk;
  }

  /** Writes back units from slot `from` on that are newer on the heap, about `maxBytes` of them; where to go on, -1 at the end. */
  writeBackSome(from: number, maxBytes: number): number {
    const { flags, highWater } = this.#owner.units;
    let bytes = 0;
    let slot = from;
    for (; slot < highWater && bytes < maxBytes; slot++) {
      // An entry that is dirty will be in the next capture.
      if (((flags[slot] as number) & (isUnwritten | isDirty)) !== isUnwritten) continue;
      this.writeBack(slot);
      bytes += this.#value.length;
    }
    return slot < highWater ? slot : -1;
  }

  /** A unit is deleted from the table: what is below goes too. */
  dropped(slot: number): void {
    if (((this.#owner.units.flags[slot] as number) & isOnDisk) !== 0) this.#options.store.delete(this.#keyOf(slot));
  }

  /** Reads the unit of key `k` in `list` back; its slot, -1 when there is none. The caller knows that it is not on the heap. */
  load(keys: KeyBatch, k: number, list: number): number {
    if (!this.spilled.mayHold(list, keys.hashes[k] as number)) return -1;
    const key = this.#writeKey(keys, k, list);
    const [value] = this.#options.store.getMany([key]);
    return value === undefined ? -1 : this.#insert(keys, k, list, value);
  }

  /**
   * Reads the units back that a look-up missed: `misses[0..missCount)` are positions in `keys`, `listOf` gives their lists. Fills
   * `slots` for those it found, leaves the others in `misses`, and returns how many that are.
   */
  loadMissing(keys: KeyBatch, listOf: (k: number) => number, slots: Int32Array, misses: Int32Array, missCount: number): number {
    if (this.spilled.count === 0) return missCount;
    const writer = this.#key;
    writer.reset();
    const wanted: number[] = [];
    const ends: number[] = [];
    let left = 0;
    for (let i = 0; i < missCount; i++) {
      const k = misses[i] as number;
      const list = listOf(k);
      if (list < 0 || !this.spilled.mayHold(list, keys.hashes[k] as number)) {
        misses[left++] = k;
        continue;
      }
      this.#appendKey(keys, k, list);
      wanted.push(k);
      ends.push(writer.length);
    }
    if (wanted.length === 0) return left;
    const values = this.#options.store.getMany(ends.map((end, i) => writer.buffer.subarray(i === 0 ? 0 : ends[i - 1], end)));
    for (const [i, k] of wanted.entries()) {
      const value = values[i];
      if (value === undefined) {
        misses[left++] = k;
        continue;
      }
      const list = listOf(k);
      // A key that is in the batch twice was read twice.
      const found = this.#owner.units.find(keys, k, list, this.#owner.namespaces.saltOf(list));
      slots[k] = found >= 0 ? found : this.#insert(keys, k, list, value);
    }
    return left;
  }

  #insert(keys: KeyBatch, k: number, list: number, value: Uint8Array): number {
    const { units, namespaces } = this.#owner;
    const slot = units.insert(keys, k, list, namespaces.saltOf(list));
    units.flags[slot] = (units.flags[slot] as number) | isOnDisk | isReferenced;
    this.spilled.remove(list);
    this.#owner.readUnit(slot, value);
    return slot;
  }

  /**
   * Shows the units that are not on the heap, in chunks, by reading them for the time of the call. The caller has shown those on
   * the heap: that set does not grow meanwhile, so what is found there now is not shown again.
   */
  visitSpilled(namespace: number | undefined, visitor: (slots: Int32Array, count: number) => void): void {
    const list = namespace === undefined ? -1 : this.#owner.namespaces.find(namespace);
    if (namespace === undefined ? this.spilled.count === 0 : list < 0 || this.spilled.countOf(list) === 0) return;
    if (namespace === undefined) this.#visitPrefix(keyPrefix(this.#options.table), visitor);
    else {
      const { from, to } = this.#options.keyGroups;
      for (let keyGroup = from; keyGroup < to; keyGroup++) this.#visitPrefix(keyPrefix(this.#options.table, keyGroup, namespace), visitor);
    }
  }

  #visitPrefix(prefix: Uint8Array, visitor: (slots: Int32Array, count: number) => void): void {
    const scan = this.#options.store.scan(prefix);
    const slots = new Int32Array(visitUnits);
    let count = 0;
    const show = (): void => {
      if (count > 0) visitor(slots, count);
      const { flags } = this.#owner.units;
      for (let i = 0; i < count; i++) if (flags[slots[i] as number] !== 0) this.#evict(slots[i] as number);
      count = 0;
    };
    try {
      for (let values = scan.next(scanBytes); values.length > 0; values = scan.next(scanBytes)) {
        for (const value of values) {
          const slot = this.#loadValue(value);
          if (slot < 0) continue;
          slots[count++] = slot;
          if (count === visitUnits) show();
        }
      }
      show();
    } finally {
      scan.close();
    }
  }

  #loadValue(value: Uint8Array): number {
    const { namespace, keyStart, keyEnd } = this.#owner.identify(value);
    const keys = this.#found.setFromBytes(value, keyStart, keyEnd);
    const list = this.#owner.namespaces.find(namespace);
    if (list < 0 || this.#owner.units.find(keys, 0, list, this.#owner.namespaces.saltOf(list)) >= 0) return -1;
    return this.#insert(keys, 0, list, value);
  }

  /**
   * Looks at some more of the units below, round and round, and reads back those that `isDue` is true of, to hand them to
   * `handle`. What the scan shows may be outdated, so the unit that is handed over is read anew.
   */
  sweep(isDue: (value: Uint8Array) => boolean, handle: (slot: number) => void): void {
    if (this.spilled.count === 0) return;
    this.#sweep ??= this.scan();
    const values = this.#sweep.next(sweepBytes);
    if (values.length === 0) this.endSweep();
    for (const value of values) {
      if (!isDue(value)) continue;
      const { namespace, keyStart, keyEnd } = this.#owner.identify(value);
      const keys = this.#found.setFromBytes(value, keyStart, keyEnd);
      const list = this.#owner.namespaces.find(namespace);
      if (list < 0 || this.#owner.units.find(keys, 0, list, this.#owner.namespaces.saltOf(list)) >= 0) continue;
      const slot = this.load(keys, 0, list);
      if (slot < 0) continue;
      handle(slot);
      if (this.#owner.units.flags[slot] !== 0) this.#evict(slot);
    }
  }

  endSweep(): void {
    this.#sweep?.close();
    this.#sweep = null;
  }

  /** A scan over all values of the table as they are below; the caller has written back what is newer on the heap. */
  scan(): SpillScan {
    return this.#options.store.scan(keyPrefix(this.#options.table));
  }

  #keyOf(slot: number): Uint8Array {
    const { units, namespaces } = this.#owner;
    const { keys } = units;
    const writer = this.#key;
    writer.reset();
    writeDiskKey(
      writer,
      this.#options.table,
      keyGroupOf(keys.hashOf(slot), this.#options.maxParallelism),
      namespaces.valueOf(keys.listOf(slot)),
    );
    keys.write(slot, writer);
    return writer.view();
  }

  #writeKey(keys: KeyBatch, k: number, list: number): Uint8Array {
    this.#key.reset();
    this.#appendKey(keys, k, list);
    return this.#key.view();
  }

  #appendKey(keys: KeyBatch, k: number, list: number): void {
    const keyGroup = keyGroupOf(keys.hashes[k] as number, this.#options.maxParallelism);
    writeDiskKey(this.#key, this.#options.table, keyGroup, this.#owner.namespaces.valueOf(list));
    keys.writeKey(k, this.#key);
  }

  close(): void {
    this.endSweep();
    this.#options.budget.leave(this);
  }
}
