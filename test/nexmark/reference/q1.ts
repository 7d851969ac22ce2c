// Query 1 by DuckDB.
import type { Reference } from "./events.ts";

export const q1: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, (price::DECIMAL(18, 0) * 0.908::DECIMAL(4, 3))::DECIMAL(23, 3)::VARCHAR, "dateTime", extra
    FROM bid`);
