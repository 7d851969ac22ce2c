// Query 8 by DuckDB.
import type { Reference } from "./events.ts";

export const q8: Reference = (events) =>
  events.query(`
    SELECT P.id, P.name, P.s
    FROM (SELECT DISTINCT id, name, "dateTime" // 10000 * 10000 AS s FROM person) P
    JOIN (SELECT DISTINCT seller, "dateTime" // 10000 * 10000 AS s FROM auction) A ON P.id = A.seller AND P.s = A.s`);
