// A table as the spill below it sees it.
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { SlotTable } from "../slots/slot-table.ts";
import type { Namespaces } from "../table/namespaces.ts";
import type { ByteWriter } from "../../base/bytes.ts";

/**
 * What a spill needs of its table. A unit is what is moved as a whole: an entry, or a key with all its entries; it is a slot of
 * `units`. A unit's value is the concatenation of its entries as they stand in blocks, each after its length.
 */
export interface SpillOwner {
  readonly layout: KeyLayout;
  readonly units: SlotTable;
  /** All slot tables: those that may have to grow. */
  readonly stores: readonly SlotTable[];
  readonly namespaces: Namespaces;
  /** Bytes that the table takes on the heap, about. */
  heapBytes(): number;
  /** Writes a unit's value, and hands the changes in it that no capture holds yet to the table's change log. */
  writeUnit(slot: number, writer: ByteWriter): void;
  /** Fills the empty slot of a unit from its value. */
  readUnit(slot: number, value: Uint8Array): void;
  /** Takes a unit off the heap. It stays in the table. */
  releaseUnit(slot: number): void;
  /** Where the key of a value's first entry stands, and its namespace. */
  identify(value: Uint8Array): { readonly namespace: number; readonly keyStart: number; readonly keyEnd: number };
}
