// The demo's input: real flights (npm vega-datasets) in the order in which they left, as NDJSON.
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";

/** Writes the first `count` flights to `path`; resolves with a DuckDB connection whose table `input` holds them with their number `n`. */
export async function prepareFlights(path, count) {
  // The package exports no path to its data: it lies beside the build that it does export.
  const data = fileURLToPath(new URL("..", import.meta.resolve("vega-datasets"))).replace(/\/$/, "");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  // A flight is reported when it leaves: at its schedule plus its delay. Rows of one minute keep the file's order.
  await connection.run(`
    create table input as
      with earliest as (select *, row_number() over () as place from read_parquet('${data}/data/flights-3m.parquet') limit ${count})
      select row_number() over (order by epoch_ms(date) + delay * 60000, place) as n,
        epoch_ms(date)::bigint as scheduled, origin, destination, delay::int as delay, distance::int as distance
      from earliest order by n`);
  await connection.run(`copy (select scheduled, origin, destination, delay, distance from input order by n) to '${path}' (format json)`);
  const reader = await connection.runAndReadAll(
    "select count(*) from (select scheduled < max(scheduled) over (order by n rows between unbounded preceding and 1 preceding) as behind from input) where behind",
  );
  return { connection, outOfOrder: Number(reader.getRows()[0][0]) };
}
