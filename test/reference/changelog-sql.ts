// What chains of changing operators come to in the end, by another engine: SQL over the last versions of all rows, in DuckDB.
import { DuckDBInstance } from "@duckdb/node-api";

/** A version of an order; a negative amount deletes it. */
export interface OrderVersion {
  readonly id: number;
  readonly customer: number;
  readonly product: number;
  readonly amount: number;
}

export interface CustomerVersion {
  readonly customer: number;
  readonly country: string;
}

export type ChainJoin = "inner" | "left" | "right" | "full" | "semi" | "anti";

/** One random case: all versions in the order of their coming, and how its two sides are joined. */
export interface ChainCase {
  readonly id: number;
  readonly join: ChainJoin;
  readonly orders: readonly OrderVersion[];
  readonly customers: readonly CustomerVersion[];
}

// `latest`: the last version of each key. `sums`: per customer. `joined`: sums with the customers' last rows.
const setup = `
  CREATE VIEW latest AS SELECT * FROM orders QUALIFY row_number() OVER (PARTITION BY c, id ORDER BY seq DESC) = 1;
  CREATE VIEW live AS SELECT * FROM latest WHERE amount >= 0;
  CREATE VIEW people AS SELECT * FROM customers QUALIFY row_number() OVER (PARTITION BY c, customer ORDER BY seq DESC) = 1;
  CREATE VIEW sums AS SELECT c, customer, count(*) AS n, sum(amount) AS total, max(amount) AS best, min(amount) AS least,
    count(DISTINCT product) AS products FROM live GROUP BY c, customer;
  CREATE VIEW best AS SELECT *, row_number() OVER (PARTITION BY c, product ORDER BY amount DESC, id) AS place FROM live
    WHERE amount % 3 <> 0 QUALIFY place <= 2;
`;

const both = (kind: string, join: string): string => `
  SELECT s.c, s.customer, s.n, s.total, p.country FROM sums s JOIN cases k ON k.c = s.c AND k.kind = '${join}'
  ${kind} JOIN people p ON p.c = s.c AND p.customer = s.customer`;

const joined = `
  ${both("INNER", "inner")} UNION ALL ${both("LEFT", "left")} UNION ALL ${both("LEFT", "full")}
  UNION ALL ${both("INNER", "right")}
  UNION ALL SELECT p.c, NULL, NULL, NULL, p.country FROM people p JOIN cases k ON k.c = p.c AND k.kind IN ('right', 'full')
    WHERE NOT EXISTS (SELECT * FROM sums s WHERE s.c = p.c AND s.customer = p.customer)
  UNION ALL SELECT s.c, s.customer, s.n, s.total, NULL FROM sums s JOIN cases k ON k.c = s.c AND k.kind = 'semi'
    WHERE EXISTS (SELECT * FROM people p WHERE s.c = p.c AND s.customer = p.customer)
  UNION ALL SELECT s.c, s.customer, s.n, s.total, NULL FROM sums s JOIN cases k ON k.c = s.c AND k.kind = 'anti'
    WHERE NOT EXISTS (SELECT * FROM people p WHERE s.c = p.c AND s.customer = p.customer)`;

const queries: Readonly<Record<string, string>> = {
  sums: "SELECT c, customer, n, total, best, least, products FROM sums",
  joined: `SELECT c, customer, n, total, country FROM (${joined})`,
  countries: `SELECT c, country, count(*), sum(total), max(n) FROM (${joined}) GROUP BY c, country`,
  best: "SELECT c, product, place, id, amount FROM best",
  winners: "SELECT c, customer, count(*), sum(amount) FROM best GROUP BY c, customer",
};

/** The final rows of every chain and case as sorted text: `results.get("sums 3")`. */
export async function chainResults(cases: readonly ChainCase[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const database = await DuckDBInstance.create(":memory:");
  const connection = await database.connect();
  try {
    await connection.run("CREATE TABLE cases (c INTEGER, kind VARCHAR)");
    await connection.run("CREATE TABLE orders (c INTEGER, seq INTEGER, id INTEGER, customer INTEGER, product INTEGER, amount INTEGER)");
    await connection.run("CREATE TABLE customers (c INTEGER, seq INTEGER, customer INTEGER, country VARCHAR)");
    const insert = async (table: string, rows: readonly string[]): Promise<void> => {
      if (rows.length > 0) await connection.run(`INSERT INTO ${table} VALUES ${rows.join(",")}`);
    };
    await insert(
      "cases",
      cases.map(({ id, join }) => `(${id}, '${join}')`),
    );
    for (const { id, orders, customers } of cases) {
      await insert(
        "orders",
        orders.map((order, seq) => `(${id}, ${seq}, ${order.id}, ${order.customer}, ${order.product}, ${order.amount})`),
      );
      await insert(
        "customers",
        customers.map(({ customer, country }, seq) => `(${id}, ${seq}, ${customer}, '${country}')`),
      );
    }
    await connection.run(setup);
    const results = new Map<string, string[]>();
    for (const [name, query] of Object.entries(queries)) {
      for (const row of (await connection.runAndReadAll(query)).getRows()) {
        const [id, ...values] = row;
        const key = `${name} ${String(id)}`;
        const lines = results.get(key) ?? [];
        lines.push(chainLine(values));
        results.set(key, lines);
      }
    }
    for (const lines of results.values()) lines.sort();
    return results;
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

/** A row as text, the same for both engines. */
export function chainLine(values: readonly unknown[]): string {
  return values.map((value) => (value === null || value === undefined ? "NULL" : String(value))).join("|");
}
