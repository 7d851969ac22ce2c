// Timers on the heap: a slot per (time, namespace, key), linked per (time, namespace); they fire in time order.
import type { ByteReader } from "../../base/bytes.ts";
import { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { TimerVisitor, Timers } from "../../core/ports/state.ts";
import { schema, type Schema } from "../../core/schema/schema.ts";
import type { EntryCursor } from "../entry-codec.ts";
import { EntryStore } from "./entry-store.ts";
import type { TableOptions } from "./heap-table.ts";
import { keyIdentity } from "./key-identity.ts";
import { loadKeyOf } from "./key-columns.ts";
import type { CaptureScratch } from "../spill/spill-store.ts";
import type { SlotLists } from "../slots/slot-lists.ts";
import type { SlotTable } from "../slots/slot-table.ts";
import { TimerLists } from "./timer-lists.ts";

/** A timer has no value: it is all identity. */
export const timerValue: Schema = schema({});

export class HeapTimers implements Timers {
  readonly name: string;
  readonly key: KeyLayout;
  readonly entries: EntryStore;
  readonly #slots: SlotTable;
  readonly #links: SlotLists;
  readonly #lists = new TimerLists();
  readonly #fired: KeyBatch;
  readonly #restoreKeys: KeyBatch;

  constructor(name: string, key: KeyLayout, options: TableOptions) {
    this.name = name;
    this.key = key;
    const ids = keyIdentity({
      integerKey: key.form === "integer",
      keys: () => this.#slots.keys,
      namespaceOf: (slot) => this.#lists.namespaceOf(this.#slots.keys.listOf(slot)),
      subKeyOf: (slot) => this.#lists.timeOf(this.#slots.keys.listOf(slot)),
    });
    this.entries = new EntryStore(key.form, ids, { ...options, name, value: timerValue });
    this.#slots = this.entries.slots;
    this.#links = this.#slots.link();
    this.#fired = new KeyBatch(key);
    this.#restoreKeys = new KeyBatch(key);
  }

  get size(): number {
    return this.#slots.count;
  }

  register(keys: KeyBatch, k: number, namespace: number, timeMs: number): void {
    const list = this.#lists.acquire(timeMs, namespace);
    if (this.#slots.find(keys, k, list, listSalt(list)) < 0) this.entries.insert(keys, k, list, listSalt(list), 0);
  }

  delete(keys: KeyBatch, k: number, namespace: number, timeMs: number): void {
    const list = this.#lists.find(timeMs, namespace);
    const slot = list < 0 ? -1 : this.#slots.find(keys, k, list, listSalt(list));
    if (slot >= 0) this.#remove(slot, list);
  }

  fire(untilMs: number, visitor: TimerVisitor): void {
    // The earliest list is asked for anew after each timer: a visitor may register and delete any.
    for (let timeMs = this.#lists.firstTime(); timeMs <= untilMs && timeMs !== Number.POSITIVE_INFINITY; timeMs = this.#lists.firstTime()) {
      const list = this.#lists.anyAt(timeMs);
      const namespace = this.#lists.namespaceOf(list);
      const slot = this.#links.first(list);
      loadKeyOf(this.#slots.keys, slot, this.#fired);
      this.#remove(slot, list);
      visitor(this.#fired, namespace, timeMs);
    }
  }

  nextMs(): number {
    return this.#lists.firstTime();
  }

  capture(scratch?: CaptureScratch): StateBlock[] {
    return this.entries.capture(scratch);
  }

  /** Applies one stored change. */
  restore(cursor: EntryCursor, reader: ByteReader): void {
    const keys = this.#restoreKeys.setFromBytes(reader.buffer, cursor.keyStart, cursor.keyEnd);
    const timeMs = cursor.subKey as number;
    let list = this.#lists.find(timeMs, cursor.namespace);
    let slot = list < 0 ? -1 : this.#slots.find(keys, 0, list, listSalt(list));
    if (cursor.isDelete) {
      if (slot < 0) return;
      this.#slots.remove(slot, listSalt(list));
      if (this.#links.first(list) < 0) this.#lists.release(list);
      return;
    }
    if (slot < 0) {
      list = this.#lists.acquire(timeMs, cursor.namespace);
      slot = this.#slots.insert(keys, 0, list, listSalt(list));
    }
    this.entries.restoreInto(slot, cursor.stampMs, reader, () => {});
  }

  #remove(slot: number, list: number): void {
    this.entries.remove(slot, listSalt(list));
    if (this.#links.first(list) < 0) this.#lists.release(list);
  }
}

function listSalt(list: number): number {
  return Math.imul(list + 1, 0xc2b2ae35);
}
