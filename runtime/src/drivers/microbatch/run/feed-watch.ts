// Wakes a query's loop when a source may have something: one pending promise for each, so that waking for another reason piles none up.
import type { Feed } from "./source-feed.ts";

export class FeedWatch {
  readonly #feeds: ReadonlyMap<string, Feed>;
  readonly #watched = new Set<string>();
  /** Why a source can give nothing any more. */
  failure: { readonly error: unknown } | undefined;

  constructor(feeds: ReadonlyMap<string, Feed>) {
    this.#feeds = feeds;
  }

  watch(wake: () => void): void {
    for (const feed of this.#feeds.values()) {
      if (feed.exhausted || this.#watched.has(feed.uid)) continue;
      this.#watched.add(feed.uid);
      feed.ready().then(
        () => {
          this.#watched.delete(feed.uid);
          wake();
        },
        (error: unknown) => {
          this.failure ??= { error };
          wake();
        },
      );
    }
  }
}
