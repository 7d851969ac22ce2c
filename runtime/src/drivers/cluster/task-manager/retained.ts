// What a TaskManager has told and no leader has taken yet: told again to the next one.
import { assert } from "../../../base/errors.ts";
import type { WorkerMessage } from "../rpc/messages.ts";

type Kept = Extract<WorkerMessage, { readonly sequence?: number }> & { readonly sequence: number };
type Unnumbered<M> = M extends { readonly sequence?: number } ? Omit<M, "sequence"> : never;

/** Far more than slices can tell while nobody commands them. */
const maxKept = 100_000;

export class Retained {
  #next = 1;
  #kept: Kept[] = [];

  add(message: Unnumbered<Extract<WorkerMessage, { readonly sequence?: number }>>): Kept {
    assert(this.#kept.length < maxKept, "slices tell little while nobody commands them");
    const kept = { ...message, sequence: this.#next++ } as Kept;
    this.#kept.push(kept);
    return kept;
  }

  /** A leader has taken everything up to `sequence`. */
  taken(sequence: number): void {
    this.#kept = this.#kept.filter((message) => message.sequence > sequence);
  }

  all(): readonly Kept[] {
    return this.#kept;
  }
}
