// Query 0 by DuckDB.
import type { Reference } from "./events.ts";

export const q0: Reference = (events) => events.query('SELECT auction, bidder, price, "dateTime", extra FROM bid');
