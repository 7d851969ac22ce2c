// Query 18 by DuckDB.
import type { Reference } from "./events.ts";

export const q18: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, price, channel, url, "dateTime", extra
    FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY "dateTime" DESC) AS place FROM bid)
    WHERE place <= 1`);
