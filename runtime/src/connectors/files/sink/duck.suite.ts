// An independent reader of what the sink wrote: DuckDB over the files that are visible.
import { DuckDBInstance } from "@duckdb/node-api";

/** Rows of a query, values as JSON. */
export async function duck(sql: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
