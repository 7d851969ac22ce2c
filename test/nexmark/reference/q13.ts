// Query 13 by DuckDB.
import { sideInput } from "../queries/q13.ts";
import type { Reference } from "./events.ts";

export const q13: Reference = async (events) => {
  await events.addTable("side_input", sideInput);
  return events.query(`
    SELECT B.auction, B.bidder, B.price, B."dateTime", S.value
    FROM bid B JOIN side_input S ON mod(B.auction, 10000) = S.key`);
};
