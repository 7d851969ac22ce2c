// Query 12 by DuckDB: where the clock stood when each event was processed is given.
import type { Reference } from "./events.ts";

/** How the clock went: it stood at `startMs` at first and went on by `stepMs` before every event whose number is a multiple of `every`. */
export interface ClockSteps {
  readonly startMs: number;
  readonly stepMs: number;
  readonly every: number;
}

export const q12 =
  ({ startMs, stepMs, every }: ClockSteps): Reference =>
  (events) =>
    events.query(`
      WITH processed AS (SELECT bidder, (${startMs} + number // ${every} * ${stepMs}) // 10000 * 10000 AS s FROM bid)
      SELECT bidder, count(*), s, s + 10000 FROM processed GROUP BY bidder, s`);

/** What can be said whatever the clock did: all bids of each bidder. */
export const q12Totals: Reference = (events) => events.query("SELECT bidder, count(*) FROM bid GROUP BY bidder");
