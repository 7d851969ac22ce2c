// Query 2 by DuckDB.
import type { Reference } from "./events.ts";

export const q2: Reference = (events) => events.query("SELECT auction, price FROM bid WHERE mod(auction, 123) = 0");
