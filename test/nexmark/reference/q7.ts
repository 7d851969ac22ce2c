// Query 7 by DuckDB.
import type { Reference } from "./events.ts";

export const q7: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, price, "dateTime", extra
    FROM (SELECT *, rank() OVER (PARTITION BY "dateTime" // 10000 ORDER BY price DESC) AS place FROM bid)
    WHERE place = 1`);
