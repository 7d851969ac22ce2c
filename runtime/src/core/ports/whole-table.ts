// A table that a driver holds whole, beside the instances that look rows up in it, in place of dividing it among them by key.
import type { KeyedTable } from "./state.ts";

export interface WholeTable {
  /** Entries of the table's rows by its primary key. Whoever is given it changes nothing. */
  readonly table: KeyedTable;
  /** Throws when the table cannot follow its source any more: what is found in it may be old. */
  check(): void;
}
