// The named lists of one operator instance: filled from a snapshot when declared, captured at every barrier.
import type { OperatorState, OperatorStateEntry, Redistribution } from "../../core/ports/operator-state.ts";

/** A list as a snapshot stores it. */
export interface CapturedList {
  readonly name: string;
  readonly redistribution: Redistribution;
  readonly entries: readonly OperatorStateEntry[];
}

export class OperatorStateRegistry implements OperatorState {
  readonly #restored: (name: string) => readonly OperatorStateEntry[];
  readonly #lists = new Map<string, { readonly redistribution: Redistribution; readonly capture: () => readonly OperatorStateEntry[] }>();

  constructor(restored: (name: string) => readonly OperatorStateEntry[]) {
    this.#restored = restored;
  }

  list(name: string, redistribution: Redistribution, capture: () => readonly OperatorStateEntry[]): readonly OperatorStateEntry[] {
    if (this.#lists.has(name)) throw new Error(`operator state "${name}" is declared twice`);
    this.#lists.set(name, { redistribution, capture });
    return this.#restored(name);
  }

  capture(): readonly CapturedList[] {
    return [...this.#lists].map(([name, list]) => ({ name, redistribution: list.redistribution, entries: list.capture() }));
  }
}
