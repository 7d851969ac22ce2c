// Which splits of a source are known, and which reader has which: new ones go to the reader that has the fewest.
import type { SourceSplit } from "../../core/ports/source.ts";

/** What a snapshot holds of a source. */
export interface RestoredSource {
  readonly splits: readonly { readonly split: SourceSplit; readonly watermarkMs: number }[];
  readonly enumerator: unknown;
  readonly finished: readonly string[];
}

export interface TimedSplit {
  readonly split: SourceSplit;
  /** Event time that it had reached; undefined for one that is new. */
  readonly watermarkMs?: number;
}

export class SplitBook {
  readonly #known = new Set<string>();
  /** By reader: what it was given. */
  readonly #held: Map<string, TimedSplit>[];
  readonly #given: number[];

  constructor(readers: number) {
    this.#held = Array.from({ length: readers }, () => new Map());
    this.#given = this.#held.map(() => 0);
  }

  /** The ids of all splits ever handed out or finished: they are not discovered again. */
  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /** Splits that are over before they were given to anybody here. */
  addFinished(ids: Iterable<string>): void {
    for (const id of ids) this.#known.add(id);
  }

  /** Deals splits out; gives what is new for each reader. Splits that are known already are left out. */
  deal(splits: readonly TimedSplit[]): readonly (readonly TimedSplit[])[] {
    const perReader: TimedSplit[][] = this.#held.map(() => []);
    for (const timed of splits) {
      if (this.#known.has(timed.split.id)) continue;
      const least = this.#given.indexOf(Math.min(...this.#given));
      this.hold(least, timed);
      perReader[least]?.push(timed);
    }
    return perReader;
  }

  /** Reader `reader` has this split. */
  hold(reader: number, timed: TimedSplit): void {
    this.#known.add(timed.split.id);
    this.#held[reader]?.set(timed.split.id, timed);
    this.#given[reader] = (this.#given[reader] ?? 0) + 1;
  }

  /** What reader `reader` was given and is not in `ids`. */
  heldBut(reader: number, ids: ReadonlySet<string>): readonly TimedSplit[] {
    return [...(this.#held[reader]?.values() ?? [])].filter(({ split }) => !ids.has(split.id));
  }
}
