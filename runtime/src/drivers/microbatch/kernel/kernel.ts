// The relational kernel: DuckDB in this process. It parses and types SQL, holds a batch's tables, and runs the relational part of a batch.
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Rows } from "../../../core/batch/batch.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { SqlEngine, SqlTree } from "../../../dataframe/analysis/sql-engine.ts";
import { type DuckDb, loadDuckDb, openInstance } from "./duckdb.ts";
import { ResultReader } from "./result-reader.ts";
import { type LoadedField, TableLoader } from "./table-loader.ts";

export interface KernelOptions {
  /** Default 1: with several the same work costs more processor time. */
  readonly threads?: number;
  /** What tables and queries may take, such as `1GB`. Default `1GB`; beyond it the kernel uses the folder. */
  readonly memoryLimit?: string;
  readonly directory?: string;
}

/** About how many rows of a result are handed on at once. */
const rowsPerBlock = 16_384;

export class Kernel implements SqlEngine {
  readonly #duckdb: DuckDb;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #loaders: TableLoader[] = [];

  private constructor(duckdb: DuckDb, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#duckdb = duckdb;
    this.#instance = instance;
    this.#connection = connection;
  }

  /** Rejects with DEPENDENCY_MISSING where DuckDB is not installed. */
  static async open(options: KernelOptions = {}): Promise<Kernel> {
    const duckdb = await loadDuckDb();
    const instance = await openInstance(duckdb, {
      threads: String(options.threads ?? 1),
      memory_limit: options.memoryLimit ?? "1GB",
      ...(options.directory === undefined ? {} : { temp_directory: options.directory }),
    });
    const connection = await instance.connect();
    // Rows keep no order of arrival, so blocks of a result need not be put in order.
    await connection.run("SET preserve_insertion_order = false; SET TimeZone = 'UTC'");
    return new Kernel(duckdb, instance, connection);
  }

  async parse(sql: string): Promise<SqlTree> {
    const reader = await this.#connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql]);
    // "Nowhere" is written as 2^64 - 1, which a number of JavaScript does not hold.
    const text = String(reader.getRows()[0]?.[0]).replaceAll(/"query_location":\d{16,}/g, '"query_location":0');
    const tree = JSON.parse(text) as SqlTree;
    if (tree["error"] === true) throw sqlError(sql, String(tree["error_message"]));
    return tree;
  }

  async print(tree: SqlTree): Promise<string> {
    const reader = await this.#connection.runAndReadAll("SELECT json_deserialize_sql($1::JSON)", [JSON.stringify(tree)]);
    return String(reader.getRows()[0]?.[0]);
  }

  async describe(select: string): Promise<readonly { readonly name: string; readonly type: string }[]> {
    try {
      const reader = await this.#connection.runAndReadAll(`DESCRIBE ${select}`);
      return reader.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }));
    } catch (cause) {
      throw sqlError(select, messageOf(cause), cause);
    }
  }

  /** A table that a batch's rows are loaded into. */
  async table(name: string, fields: readonly LoadedField[]): Promise<TableLoader> {
    const loader = await TableLoader.create(this.#duckdb, this.#connection, name, fields);
    this.#loaders.push(loader);
    return loader;
  }

  /** Runs statements that give no rows. */
  async run(sql: string): Promise<void> {
    try {
      await this.#connection.run(sql);
    } catch (cause) {
      throw runError(cause);
    }
  }

  /** Runs a query; its columns have the SQL types of the schema's fields. */
  query(sql: string, schema: Schema, timeField?: string): KernelQuery {
    return new KernelQuery(this.#connection, sql, new ResultReader(this.#duckdb, schema, timeField));
  }

  /** The only value of a query as a number; undefined for null. */
  async number(sql: string): Promise<number | undefined> {
    try {
      const reader = await this.#connection.runAndReadAll(sql);
      const value = reader.getRows()[0]?.[0];
      return value === null || value === undefined ? undefined : Number(value);
    } catch (cause) {
      throw runError(cause);
    }
  }

  /** How far a running query has come, 0 to 100; -1 where that is not known. */
  get progressPercent(): number {
    return this.#connection.progress.percentage;
  }

  close(): void {
    for (const loader of this.#loaders) loader.close();
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

/** A query that runs once per batch. */
export class KernelQuery {
  readonly sql: string;
  readonly #connection: DuckDBConnection;
  readonly #reader: ResultReader;

  constructor(connection: DuckDBConnection, sql: string, reader: ResultReader) {
    this.sql = sql;
    this.#connection = connection;
    this.#reader = reader;
  }

  /** Hands on the rows in blocks, which are valid during the call; waits for what the call returns. */
  async run(take: (rows: Rows) => Promise<void> | void): Promise<void> {
    const reader = this.#reader;
    const result = await this.#connection.stream(this.sql).catch((cause: unknown) => {
      throw runError(cause);
    });
    reader.reset();
    for (;;) {
      const chunk = await result.fetchChunk().catch((cause: unknown) => {
        throw runError(cause);
      });
      if (chunk === null || chunk.rowCount === 0) break;
      reader.append(chunk);
      if (reader.rows.size < rowsPerBlock) continue;
      await take(reader.rows);
      reader.reset();
    }
    if (reader.rows.size > 0) await take(reader.rows);
    reader.reset();
  }
}

function sqlError(sql: string, message: string, cause?: unknown): MillraceError {
  const text = sql.length > 200 ? `${sql.slice(0, 200)}...` : sql;
  const [first = message] = message.split("\n");
  return new MillraceError("DATAFRAME_SQL", `SQL ${text}`, first, "correct the expression", { cause });
}

function runError(cause: unknown): MillraceError {
  const [first = ""] = messageOf(cause).split("\n");
  return new MillraceError(
    "DATAFRAME_COMPUTE",
    "the batch",
    `a computation failed: ${first}`,
    "filter such rows first, or use tryCast and nullif",
    { cause },
  );
}
