// Query 11 by DuckDB: a session begins where the bid before it is more than 10 s away.
import type { Reference } from "./events.ts";

export const q11: Reference = (events) =>
  events.query(`
    WITH begun AS (
      SELECT bidder, "dateTime" AS t, coalesce(t - lag(t) OVER (PARTITION BY bidder ORDER BY t) > 10000, true)::INT AS begins FROM bid
    ), numbered AS (
      SELECT bidder, t, sum(begins) OVER (PARTITION BY bidder ORDER BY t) AS nr FROM begun
    )
    SELECT bidder, count(*), min(t), max(t) + 10000 FROM numbered GROUP BY bidder, nr`);
