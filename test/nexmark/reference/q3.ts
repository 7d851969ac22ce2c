// Query 3 by DuckDB.
import type { Reference } from "./events.ts";

export const q3: Reference = (events) =>
  events.query(`
    SELECT P.name, P.city, P.state, A.id
    FROM auction A JOIN person P ON A.seller = P.id
    WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')`);
