// State of an operator instance that is not keyed: source positions, sink write-ahead data, pending asynchronous rows, broadcast state.

/**
 * How entries spread when the parallelism changes.
 * `split`: every entry goes to exactly one instance (source splits, pending rows).
 * `union`: every instance sees all entries at restore and keeps what it wants.
 * `broadcast`: all instances hold the same entries; one copy is stored.
 */
export type Redistribution = "split" | "union" | "broadcast";

export interface OperatorState {
  /**
   * Declares a named list of binary entries. `capture` is called at every barrier, synchronously, and returns all entries;
   * the return value of `list` is what the snapshot held for this instance, empty on a fresh start.
   */
  list(name: string, redistribution: Redistribution, capture: () => readonly OperatorStateEntry[]): readonly OperatorStateEntry[];
}

export interface OperatorStateEntry {
  /** Identifies the entry within the list (a split's id); shown by `millrace savepoint read`. */
  readonly key: string;
  readonly value: Uint8Array;
}
