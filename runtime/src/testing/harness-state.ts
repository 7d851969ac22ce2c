// The unkeyed state of operators in a harness: captured with a snapshot, spread over instances as its redistribution says.
import type { OperatorState, OperatorStateEntry, Redistribution } from "../core/ports/operator-state.ts";

/** The entries of one named list. */
export interface HarnessList {
  readonly redistribution: Redistribution;
  readonly entries: readonly OperatorStateEntry[];
}

export class HarnessOperatorState implements OperatorState {
  readonly #restored: ReadonlyMap<string, HarnessList>;
  readonly #subtask: number;
  readonly #parallelism: number;
  readonly #captures = new Map<
    string,
    { readonly redistribution: Redistribution; readonly capture: () => readonly OperatorStateEntry[] }
  >();

  constructor(restored: ReadonlyMap<string, HarnessList>, subtask: number, parallelism: number) {
    this.#restored = restored;
    this.#subtask = subtask;
    this.#parallelism = parallelism;
  }

  list(name: string, redistribution: Redistribution, capture: () => readonly OperatorStateEntry[]): readonly OperatorStateEntry[] {
    if (this.#captures.has(name)) throw new Error(`the operator declares the list "${name}" twice`);
    this.#captures.set(name, { redistribution, capture });
    const entries = this.#restored.get(name)?.entries ?? [];
    return redistribution === "split" ? entries.filter((_entry, index) => index % this.#parallelism === this.#subtask) : entries;
  }

  capture(): ReadonlyMap<string, HarnessList> {
    return new Map([...this.#captures].map(([name, { redistribution, capture }]) => [name, { redistribution, entries: capture() }]));
  }
}

/** The lists of several instances as those of one snapshot. */
export function mergeLists(parts: readonly ReadonlyMap<string, HarnessList>[]): ReadonlyMap<string, HarnessList> {
  const merged = new Map<string, HarnessList>();
  for (const part of parts) {
    for (const [name, list] of part) {
      const before = merged.get(name);
      if (before === undefined) merged.set(name, list);
      // Every instance holds the same entries of a broadcast list.
      else if (list.redistribution !== "broadcast") merged.set(name, { ...list, entries: [...before.entries, ...list.entries] });
    }
  }
  return merged;
}
