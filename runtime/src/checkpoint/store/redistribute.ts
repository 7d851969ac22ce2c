// Which entries of an operator state list an instance gets when a snapshot is restored, perhaps with another parallelism.
import type { OperatorStateEntry, Redistribution } from "../../core/ports/operator-state.ts";

export interface StoredListPart {
  readonly subtask: number;
  readonly entries: readonly OperatorStateEntry[];
}

/**
 * `split`: with the same parallelism each instance gets its own back, else the entries in order of the old instances are cut into
 * shares whose sizes differ by one at most. `union`: all entries, in order of the old instances. `broadcast`: one copy.
 */
export function redistribute(
  redistribution: Redistribution,
  parts: readonly StoredListPart[],
  before: number,
  subtask: number,
  parallelism: number,
): readonly OperatorStateEntry[] {
  const ordered = [...parts].sort((a, b) => a.subtask - b.subtask);
  switch (redistribution) {
    case "broadcast":
      return ordered[0]?.entries ?? [];
    case "union":
      return ordered.flatMap((part) => part.entries);
    case "split": {
      if (before === parallelism) return ordered.find((part) => part.subtask === subtask)?.entries ?? [];
      const all = ordered.flatMap((part) => part.entries);
      return all.slice(Math.floor((all.length * subtask) / parallelism), Math.floor((all.length * (subtask + 1)) / parallelism));
    }
  }
}
