// Query 22 by DuckDB. A part that is not there is null.
import type { Reference } from "./events.ts";

export const q22: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, price, channel, parts[4], parts[5], parts[6]
    FROM (SELECT *, string_split(url, '/') AS parts FROM bid)`);
