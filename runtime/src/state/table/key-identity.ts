// The identity of entries whose key is that of their slot.
import type { SubKey } from "../../core/ports/state.ts";
import type { EntryIdentity } from "../entry-codec.ts";
import type { SlotKeys } from "../slots/slot-keys.ts";

interface Parts {
  readonly integerKey: boolean;
  /** Asked for at each use: the table is made after its identity. */
  keys(): SlotKeys;
  namespaceOf(slot: number): number;
  /** Undefined where there are no sub-keys. */
  readonly subKeyOf?: (slot: number) => SubKey;
}

export function keyIdentity({ integerKey, keys, namespaceOf, subKeyOf }: Parts): EntryIdentity {
  return {
    integerKey,
    subKey: subKeyOf === undefined ? undefined : "number",
    hashOf: (slot) => keys().hashOf(slot),
    namespaceOf,
    keyLength: (slot) => keys().keyLength(slot),
    writeKey: (slot, writer) => keys().write(slot, writer),
    subKeyOf: subKeyOf ?? (() => 0),
  };
}
