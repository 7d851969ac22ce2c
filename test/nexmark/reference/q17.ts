// Query 17 by DuckDB.
import type { Reference } from "./events.ts";

export const q17: Reference = (events) =>
  events.query(`
    SELECT auction, strftime(make_timestamp("dateTime" * 1000), '%Y-%m-%d') AS day, count(*),
      count(*) FILTER (price < 10000), count(*) FILTER (price >= 10000 AND price < 1000000), count(*) FILTER (price >= 1000000),
      min(price), max(price), avg(price), sum(price)
    FROM bid
    GROUP BY auction, day`);
