// The events of a generator as plain tables in DuckDB: what every reference is computed from.
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { systemClock } from "../../../runtime/src/base/clock.ts";
import { silentLog } from "../../../runtime/src/base/log.ts";
import { type NexmarkEvent, type NexmarkOptions, nexmark, nexmarkEventType } from "../../../runtime/src/connectors/nexmark/index.ts";
import { rowView } from "../../../runtime/src/core/batch/row-view.ts";

/** A result row as values of its fields in order. Decimals are texts. */
export type ResultRow = readonly (number | string | null)[];

/** Makes the result of a query from the events, without anything of the engine's. */
export type Reference = (events: NexmarkDuck) => Promise<readonly ResultRow[]>;

const context = { jobName: "reference", uid: "events", subtask: 0, clock: systemClock, log: silentLog };

/** All events in order of their numbers. */
async function eventsOf(generator: NexmarkOptions): Promise<readonly NexmarkEvent[]> {
  const { source } = nexmark({ ...generator, splits: 1 });
  const reader = await source.openReader(context);
  reader.assign(await (await source.openEnumerator(context)).discover(new Set()));
  const events: NexmarkEvent[] = [];
  for (let block = reader.poll(1000); block !== null; block = reader.poll(1000)) {
    if (block.kind !== "rows") throw new Error("the generator gives rows");
    const view = rowView<NexmarkEvent>(block.rows.schema as typeof source.schema);
    for (let row = 0; row < block.rows.size; row++) {
      view.point(block.rows, row);
      events.push({ ...view });
    }
  }
  await reader.close();
  return events;
}

const tables = [
  {
    name: "person",
    type: nexmarkEventType.person,
    numbers: ["id", "dateTime"],
    texts: ["name", "emailAddress", "creditCard", "city", "state", "extra"],
  },
  {
    name: "auction",
    type: nexmarkEventType.auction,
    numbers: ["id", "initialBid", "reserve", "dateTime", "expires", "seller", "category"],
    texts: ["itemName", "description", "extra"],
  },
  {
    name: "bid",
    type: nexmarkEventType.bid,
    numbers: ["auction", "bidder", "price", "dateTime"],
    texts: ["channel", "url", "extra"],
  },
] as const;

/**
 * Tables `person`, `auction` and `bid`. Times are BIGINTs in ms since the epoch. `number` is the event's number; the number of
 * events is `count`.
 */
export class NexmarkDuck {
  readonly count: number;
  readonly #connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection, count: number) {
    this.#connection = connection;
    this.count = count;
  }

  static async open(generator: NexmarkOptions): Promise<NexmarkDuck> {
    const events = await eventsOf(generator);
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    await connection.run("SET threads = 1");
    for (const { name, type, numbers, texts } of tables) {
      const columns = ["number BIGINT", ...numbers.map((field) => `"${field}" BIGINT`), ...texts.map((field) => `"${field}" VARCHAR`)];
      await connection.run(`CREATE TABLE ${name} (${columns.join(", ")})`);
      const appender = await connection.createAppender(name);
      for (const [number, event] of events.entries()) {
        if (event.eventType !== type) continue;
        appender.appendBigInt(BigInt(number));
        for (const field of numbers) appender.appendBigInt(BigInt(event[field] as number));
        for (const field of texts) appender.appendVarchar(event[field] as string);
        appender.endRow();
      }
      appender.closeSync();
    }
    return new NexmarkDuck(connection, events.length);
  }

  /** Makes another table, with columns `key BIGINT, value VARCHAR`. */
  async addTable(name: string, rows: readonly { readonly key: number; readonly value: string }[]): Promise<void> {
    await this.#connection.run(`CREATE OR REPLACE TABLE ${name} (key BIGINT, value VARCHAR)`);
    const appender = await this.#connection.createAppender(name);
    for (const { key, value } of rows) {
      appender.appendBigInt(BigInt(key));
      appender.appendVarchar(value);
      appender.endRow();
    }
    appender.closeSync();
  }

  /** The rows of a SQL query. */
  async query(sql: string): Promise<readonly ResultRow[]> {
    const rows = (await this.#connection.runAndReadAll(sql)).getRows();
    return rows.map((row) => row.map(plainValue));
  }

  close(): void {
    this.#connection.closeSync();
  }
}

function plainValue(value: unknown): number | string | null {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  if (typeof value === "bigint" && BigInt.asIntN(53, value) === value) return Number(value);
  throw new Error(`a ${typeof value} has no plain form: cast it in the query`);
}
