// Query 14 by DuckDB.
import type { Reference } from "./events.ts";

export const q14: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, euros::VARCHAR,
      CASE WHEN h BETWEEN 8 AND 18 THEN 'dayTime' WHEN h <= 6 OR h >= 20 THEN 'nightTime' ELSE 'otherTime' END,
      "dateTime", extra, length(extra) - length(replace(extra, 'c', ''))
    FROM (
      SELECT *, (price::DECIMAL(18, 0) * 0.908::DECIMAL(4, 3))::DECIMAL(23, 3) AS euros, hour(make_timestamp("dateTime" * 1000)) AS h
      FROM bid
    )
    WHERE euros > 1000000 AND euros < 50000000`);
