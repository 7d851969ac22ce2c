// Query 4 by DuckDB.
import type { Reference } from "./events.ts";

export const q4: Reference = (events) =>
  events.query(`
    SELECT category, avg(final)
    FROM (
      SELECT max(B.price) AS final, A.category
      FROM auction A, bid B
      WHERE A.id = B.auction AND B."dateTime" BETWEEN A."dateTime" AND A.expires
      GROUP BY A.id, A.category
    )
    GROUP BY category`);
