// Query 5 by DuckDB: each bid is copied into the five windows that it is in.
import type { Reference } from "./events.ts";

export const q5: Reference = (events) =>
  events.query(`
    WITH windowed AS (
      SELECT auction, ("dateTime" // 2000 - step) * 2000 AS s FROM bid, range(5) steps(step)
    ), counted AS (
      SELECT auction, s, count(*) AS num FROM windowed GROUP BY auction, s
    )
    SELECT auction, num, s, s + 10000
    FROM counted JOIN (SELECT s, max(num) AS most FROM counted GROUP BY s) USING (s)
    WHERE num >= most`);
