// Query 20 by DuckDB.
import type { Reference } from "./events.ts";

export const q20: Reference = (events) =>
  events.query(`
    SELECT auction, bidder, price, channel, url, B."dateTime", B.extra,
      "itemName", description, "initialBid", reserve, A."dateTime", expires, seller, category, A.extra
    FROM bid B JOIN auction A ON B.auction = A.id
    WHERE A.category = 10`);
