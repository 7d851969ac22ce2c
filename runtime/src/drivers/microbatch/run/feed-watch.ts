// Wakes a query's loop when a source may have something: one pending promise for each, so that waking for another reason piles none up.
import type { Feed } from "./source-feed.ts";

export class FeedWatch {
  readonly #feeds: ReadonlyMap<string, Feed>;
  readonly #wake: () => void;
  readonly #watched = new Set<string>();
  /** Why a source can give nothing any more. */
  failure: { readonly error: unknown } | undefined;

  constructor(feeds: ReadonlyMap<string, Feed>, wake: () => void) {
    this.#feeds = feeds;
    this.#wake = wake;
  }

  watch(): void {
    for (const feed of this.#feeds.values()) {
      if (feed.exhausted || this.#watched.has(feed.uid)) continue;
      this.#watched.add(feed.uid);
      feed.ready().then(
        () => {
          this.#watched.delete(feed.uid);
          this.#wake();
        },
        (error: unknown) => {
          this.failure ??= { error };
          this.#wake();
        },
      );
    }
  }
}
