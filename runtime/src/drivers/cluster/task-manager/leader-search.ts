// How a TaskManager looks for a leader: how long it waits between two rounds, and what of its search is worth a line in the log.

const leastPauseMs = 20;
const mostPauseMs = 1000;
/** The share of the time without a leader that waiting may add to it. */
const share = 1 / 8;

/**
 * Grows with the time without a leader, so that a failover of a second is noticed within an eighth of one, and a leader that is away for an
 * hour costs a question a second. `random` in [0, 1) spreads TaskManagers that lost the same leader.
 */
export function searchPauseMs(leaderlessMs: number, random: number): number {
  const pauseMs = Math.min(mostPauseMs, Math.max(leastPauseMs, leaderlessMs * share));
  return pauseMs * (0.75 + 0.5 * random);
}

const keptPlaces = 64;

/** What is wrong at each place that was asked: only a change is news. */
export class SearchNews {
  readonly #told = new Map<string, string>();

  /** True when `problem` is not what was told of `place` last. */
  isNews(place: string, problem: string): boolean {
    if (this.#told.get(place) === problem) return false;
    // Places that are asked no longer are not kept for ever.
    if (this.#told.size >= keptPlaces) this.#told.clear();
    this.#told.set(place, problem);
    return true;
  }

  clear(): void {
    this.#told.clear();
  }
}
