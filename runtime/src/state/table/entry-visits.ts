// Walks over the entries of a table that are on the heap, in chunks; what has expired is taken out instead of shown.
import type { SlotVisitor } from "../../core/ports/state.ts";
import type { EntryStore } from "./entry-store.ts";
import type { SlotLists } from "../slots/slot-lists.ts";

const chunkSlots = 1024;

/** Takes an entry out of its table. */
export type Remove = (slot: number) => void;

/** Every entry, by slot. `visited` is filled for each chunk. */
export function visitHeap(entries: EntryStore, remove: Remove, visitor: SlotVisitor): void {
  const cutOffMs = entries.cutOffMs();
  const visited = new Int32Array(chunkSlots);
  const { flags, highWater } = entries.slots;
  for (let slot = 0; slot < highWater; ) {
    let count = 0;
    for (; slot < highWater && count < chunkSlots; slot++) {
      if (flags[slot] === 0) continue;
      if (entries.isExpired(slot, cutOffMs)) remove(slot);
      else visited[count++] = slot;
    }
    if (count > 0) visitor(visited, count);
  }
}

/** The entries of one list, in its order. */
export function visitList(entries: EntryStore, links: SlotLists, list: number, remove: Remove, visitor: SlotVisitor): void {
  const cutOffMs = entries.cutOffMs();
  const visited = new Int32Array(chunkSlots);
  for (let slot = links.first(list); slot >= 0; ) {
    let count = 0;
    while (slot >= 0 && count < chunkSlots) {
      // The visitor may delete what it is shown, so the way on is read before.
      const next = links.next(slot);
      if (entries.isExpired(slot, cutOffMs)) remove(slot);
      else visited[count++] = slot;
      slot = next;
    }
    if (count > 0) visitor(visited, count);
  }
}

/** The given entries. */
export function visitSome(entries: EntryStore, slots: Int32Array, count: number, remove: Remove, visitor: SlotVisitor): void {
  const cutOffMs = entries.cutOffMs();
  const visited = new Int32Array(count);
  let live = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] as number;
    if (entries.isExpired(slot, cutOffMs)) remove(slot);
    else visited[live++] = slot;
  }
  if (live > 0) visitor(visited, live);
}
