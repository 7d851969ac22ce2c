// A sink into a PostgreSQL table: a batch's rows and its id in one transaction, so that a batch that comes again changes nothing.
import type * as Pg from "pg";
import type { Pool, PoolClient } from "pg";
import { isMillraceError, MillraceError, messageOf } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import type { BatchSink, BatchSinkContext, BatchSinkWriter } from "../../core/ports/batch-sink.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { textOf } from "./text-values.ts";
import {
  addQuerySql,
  columnsSql,
  createBatchesSql,
  insertSql,
  lockBatchSql,
  quoteTable,
  setBatchSql,
  type TargetColumn,
} from "./write-sql.ts";

export interface PostgresSinkOptions {
  /** `postgres://user:password@host:port/database`; what it leaves out comes from the usual variables (`PGHOST`, `PGPASSWORD`, ...). */
  readonly url?: string;
  /** `table` or `schema.table`; it is there, with a column for each of the rows'. */
  readonly table: string;
  /** Columns with a unique index: a row replaces the one with its key. Without them rows are added. */
  readonly key?: readonly string[];
  /** Each batch replaces the whole table: for complete mode. */
  readonly replace?: boolean;
  /** Where the ids of batches are kept; made where it is missing. Default `millrace_batches`. */
  readonly batchTable?: string;
  /** How long a statement may take, ms. Default 60,000. */
  readonly statementTimeoutMs?: number;
}

/** Rows of one statement. */
const rowsPerStatement = 5000;

export function postgresSink(options: PostgresSinkOptions): BatchSink {
  const { table, key = [], replace = false } = options;
  if (replace && key.length > 0)
    throw new MillraceError("OPTION_INVALID", `postgres table ${table}`, "has a key, and is replaced whole", "leave one of them out");
  return {
    kind: "batch",
    connector: "postgres",
    options: { table, ...(key.length === 0 ? {} : { key }), ...(replace ? { replace } : {}) },
    open: (context) => PostgresWriter.open(options, context),
  };
}

class PostgresWriter implements BatchSinkWriter {
  readonly #options: PostgresSinkOptions;
  readonly #context: BatchSinkContext;
  readonly #pool: Pool;
  readonly #columns: readonly TargetColumn[];
  readonly #view: ReturnType<typeof rowView<Readonly<Record<string, unknown>>>>;
  #rows: (string | null)[][];
  #count = 0;

  private constructor(options: PostgresSinkOptions, context: BatchSinkContext, pool: Pool, columns: readonly TargetColumn[]) {
    this.#options = options;
    this.#context = context;
    this.#pool = pool;
    this.#columns = columns;
    this.#view = rowView(context.fields as Schema<Readonly<Record<string, unknown>>>);
    this.#rows = columns.map(() => []);
  }

  /** Rejects with POSTGRES_UNREACHABLE, POSTGRES_TABLE and DEPENDENCY_MISSING. */
  static async open(options: PostgresSinkOptions, context: BatchSinkContext): Promise<PostgresWriter> {
    const pool = await openPool(options);
    try {
      const columns = await targetColumns(pool, options, context.fields);
      const batches = batchTableOf(options);
      await pool.query(createBatchesSql(batches));
      await pool.query(addQuerySql(batches), [context.queryId, options.table, context.queryName]);
      return new PostgresWriter(options, context, pool, columns);
    } catch (error) {
      await pool.end();
      throw asOwn(error, options);
    }
  }

  write(batch: Batch): void {
    const { fields } = this.#context.fields;
    for (let k = 0; k < batch.count; k++) {
      this.#view.point(batch.rows, batch.selection[k] as number);
      fields.forEach(({ name, spec }, index) => (this.#rows[index] as (string | null)[]).push(textOf(spec, this.#view[name])));
    }
    this.#count += batch.count;
  }

  async finish(batchId: number): Promise<void> {
    const rows = this.#rows;
    const count = this.#count;
    this.#rows = this.#columns.map(() => []);
    this.#count = 0;
    let client: PoolClient | undefined;
    try {
      client = await this.#pool.connect();
      await client.query("BEGIN");
      await this.#transaction(client, batchId, rows, count);
      client.release();
    } catch (error) {
      // The connection is given up, and with it the transaction.
      client?.release(true);
      throw asOwn(error, this.#options);
    }
  }

  async #transaction(client: PoolClient, batchId: number, rows: readonly (string | null)[][], count: number): Promise<void> {
    const { table, key = [], replace = false } = this.#options;
    const batches = batchTableOf(this.#options);
    const names = [this.#context.queryId, table];
    const found = await client.query<{ readonly batch_id: string }>(lockBatchSql(batches), names);
    const last = found.rows[0]?.batch_id;
    if (last === undefined)
      throw new MillraceError("POSTGRES_TABLE", `table ${batches}`, "no longer knows the query", "leave its rows alone while a query runs");
    if (Number(last) >= batchId) {
      await client.query("ROLLBACK");
      return;
    }
    if (replace) await client.query(`DELETE FROM ${quoteTable(table)}`);
    const sql = insertSql(table, this.#columns, key);
    for (let from = 0; from < count; from += rowsPerStatement) {
      await client.query({ name: "millrace-insert", text: sql, values: rows.map((column) => column.slice(from, from + rowsPerStatement)) });
    }
    await client.query(setBatchSql(batches), [...names, batchId]);
    await client.query("COMMIT");
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

function batchTableOf({ batchTable = "millrace_batches" }: PostgresSinkOptions): string {
  return batchTable;
}

async function openPool({ url, statementTimeoutMs = 60_000 }: PostgresSinkOptions): Promise<Pool> {
  let pg: typeof Pg;
  try {
    pg = await import("pg");
  } catch (cause) {
    throw new MillraceError(
      "DEPENDENCY_MISSING",
      "package pg",
      `the Postgres sink needs it, and it cannot be loaded (${messageOf(cause)})`,
      "run npm install pg",
      {
        cause,
      },
    );
  }
  const pool = new pg.default.Pool({
    ...(url === undefined ? {} : { connectionString: url }),
    max: 1,
    connectionTimeoutMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    application_name: "millrace",
  });
  // A connection that breaks while nobody uses it is replaced when it is needed.
  pool.on("error", () => {});
  return pool;
}

async function targetColumns(pool: Pool, { table, key = [] }: PostgresSinkOptions, fields: Schema): Promise<readonly TargetColumn[]> {
  const found = await pool.query<TargetColumn>(columnsSql, [quoteTable(table)]);
  const byName = new Map(found.rows.map((column) => [column.name, column]));
  const missing = fields.fields.filter(({ name }) => !byName.has(name)).map(({ name }) => name);
  const what = byName.size === 0 ? "is not there" : missing.length > 0 ? `has no column ${missing.join(", ")}` : undefined;
  if (what !== undefined)
    throw new MillraceError("POSTGRES_TABLE", `postgres table ${table}`, what, "create it with a column for each of the rows'");
  const strange = key.filter((name) => fields.find(name) === undefined);
  if (strange.length > 0)
    throw new MillraceError(
      "POSTGRES_TABLE",
      `postgres table ${table}`,
      `its key ${strange.join(", ")} is no column of the rows`,
      "name columns of the rows",
    );
  return fields.fields.map(({ name }) => byName.get(name) as TargetColumn);
}

/** Refusals of the server have a code of five characters; everything else is the connection's. */
function asOwn(cause: unknown, { table }: PostgresSinkOptions): unknown {
  if (isMillraceError(cause)) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const refused = /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P)/.test(code);
  const detail = cause instanceof Error && "detail" in cause && cause.detail !== undefined ? ` (${String(cause.detail)})` : "";
  return refused
    ? new MillraceError(
        "POSTGRES_REFUSED",
        `postgres table ${table}`,
        `${messageOf(cause)}${detail}, SQLSTATE ${code}`,
        "mend the rows or the table; the next start runs the batch again",
        { cause },
      )
    : new MillraceError(
        "POSTGRES_UNREACHABLE",
        `postgres table ${table}`,
        messageOf(cause),
        "check the address and the server; the next start runs the batch again",
        { cause },
      );
}
