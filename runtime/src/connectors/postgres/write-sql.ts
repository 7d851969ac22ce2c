// The statements of the Postgres sink.

export interface TargetColumn {
  readonly name: string;
  /** As the server calls it, such as `numeric(10,2)`. */
  readonly type: string;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `schema.table` or `table`, quoted. */
export function quoteTable(table: string): string {
  return table.split(".").map(quoteName).join(".");
}

/** Columns as arrays of texts become rows; with a key, the last row of each key goes into the table, whatever was there. */
export function insertSql(table: string, columns: readonly TargetColumn[], key: readonly string[]): string {
  const names = columns.map(({ name }) => quoteName(name));
  const arrays = columns.map((_column, index) => `$${index + 1}::text[]`).join(", ");
  const aliases = columns.map((_column, index) => `c${index}`);
  const values = columns.map(({ type }, index) => `c${index}::${type}`).join(", ");
  const from = `FROM unnest(${arrays}) WITH ORDINALITY AS r(${[...aliases, "position"].join(", ")})`;
  const into = `INSERT INTO ${quoteTable(table)} (${names.join(", ")})`;
  if (key.length === 0) return `${into} SELECT ${values} ${from} ORDER BY position`;
  const keys = key.map((name) => aliases[columns.findIndex((column) => column.name === name)]).join(", ");
  const others = columns.filter(({ name }) => !key.includes(name));
  const action =
    others.length === 0
      ? "DO NOTHING"
      : `DO UPDATE SET ${others.map(({ name }) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(", ")}`;
  return (
    `${into} SELECT ${values} FROM (SELECT DISTINCT ON (${keys}) * ${from} ORDER BY ${keys}, position DESC) AS latest ` +
    `ON CONFLICT (${key.map(quoteName).join(", ")}) ${action}`
  );
}

export const createBatchesSql = (table: string): string =>
  `CREATE TABLE IF NOT EXISTS ${quoteTable(table)} (query_id text NOT NULL, target text NOT NULL, query_name text NOT NULL, ` +
  "batch_id bigint NOT NULL, PRIMARY KEY (query_id, target))";

export const addQuerySql = (table: string): string =>
  `INSERT INTO ${quoteTable(table)} (query_id, target, query_name, batch_id) VALUES ($1, $2, $3, -1) ON CONFLICT DO NOTHING`;

/** Whoever has the row writes; another driver waits here, and then sees what was written. */
export const lockBatchSql = (table: string): string =>
  `SELECT batch_id FROM ${quoteTable(table)} WHERE query_id = $1 AND target = $2 FOR UPDATE`;

export const setBatchSql = (table: string): string => `UPDATE ${quoteTable(table)} SET batch_id = $3 WHERE query_id = $1 AND target = $2`;

export const columnsSql: string =
  "SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a " +
  "WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
