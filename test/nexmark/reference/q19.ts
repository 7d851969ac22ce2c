// Query 19 by DuckDB.
import type { Reference } from "./events.ts";

export const q19: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, price, channel, url, "dateTime", extra, place
    FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, "dateTime") AS place FROM bid)
    WHERE place <= 10`);
