// The Postgres sink on a real PostgreSQL: each batch once, whatever is run again; upserts; replaced tables; refusals that say what is wrong.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Pool } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type MemorySource, memorySource } from "../memory/index.ts";
import { Batch, identitySelection, Rows } from "../../core/batch/batch.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { decimal, int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import { count, postgresSink, type PostgresSinkOptions, Session, StreamingQuery, sum } from "../../dataframe.ts";
import { realPostgres } from "../../../../test/support/real.ts";

const Sale = schema({ shop: string(), amount: decimal(10, 2), at: timestamp(), pieces: int53() });
type Sale = RowType<typeof Sale>;
const name = `sales_${randomBytes(4).toString("hex")}`;
const batchTable = `batches_${name}`;
let database: Pool;
let folder: string;
const opened: StreamingQuery[] = [];

beforeAll(() => {
  database = new Pool({ connectionString: realPostgres(), max: 2 });
  database.on("error", () => {});
});
afterAll(async () => {
  await database.query(`DROP TABLE IF EXISTS ${batchTable}`);
  await database.end();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postgres-sink-"));
  await database.query(
    `DROP TABLE IF EXISTS ${name}; CREATE TABLE ${name} (shop text PRIMARY KEY, sales bigint, total numeric(12,2), latest timestamptz)`,
  );
});
afterEach(async () => {
  for (const query of opened.splice(0)) await query.stop().catch(() => {});
  await database.query(`DROP TABLE IF EXISTS ${name}`);
  await rm(folder, { recursive: true, force: true });
});

async function start(
  source: MemorySource<Sale>,
  more: Partial<PostgresSinkOptions> = { key: ["shop"] },
  mode: "update" | "complete" = "update",
): Promise<StreamingQuery> {
  const totals = new Session()
    .readStream(source, { name: "sales" })
    .groupBy("shop")
    .agg((c) => ({ sales: count(), total: sum(c.amount) }), { name: "totals" });
  const sink = postgresSink({ url: realPostgres(), table: name, batchTable, ...more });
  const query = await StreamingQuery.start(totals.writeStream(sink, { name: "totals", mode }), {
    checkpointLocation: pathToFileURL(folder).href,
  });
  opened.push(query);
  return query;
}

const newSource = (): MemorySource<Sale> => memorySource(Sale, { bounded: false });
const sale = (shop: string, cents: number): Sale => ({
  ...{ shop, amount: new Decimal(BigInt(cents), 2), at: 1_700_000_000_000, pieces: 1 },
});
const rows = async (): Promise<readonly unknown[]> => (await database.query(`SELECT shop, sales, total FROM ${name} ORDER BY shop`)).rows;

test("rows replace those with their key, batch by batch", async () => {
  const source = newSource();
  const query = await start(source);
  source.push(sale("a", 150));
  source.push(sale("b", 1));
  await query.processAllAvailable();
  source.push(sale("a", 25));
  await query.processAllAvailable();
  expect(await rows()).toEqual([
    { shop: "a", sales: "2", total: "1.75" },
    { shop: "b", sales: "1", total: "0.01" },
  ]);
});

test("a batch that comes again changes nothing, and one that never committed is written", async () => {
  const sink = postgresSink({ url: realPostgres(), table: name, batchTable, key: ["shop"] });
  const fields = schema({ shop: string(), sales: int53() });
  const context = { queryName: "q", queryId: randomBytes(8).toString("hex"), fields };
  const write = async (batchId: number, sales: number): Promise<void> => {
    const writer = await sink.open(context);
    const made = new Rows(fields, 4);
    made.ready.fill(1);
    made.columns[0]?.setText(0, "a");
    (made.columns[1] as { numbers: Float64Array }).numbers[0] = sales;
    made.size = 1;
    writer.write(new Batch(made, identitySelection(1), 1));
    await writer.finish(batchId);
    await writer.close();
  };
  await write(0, 1);
  await write(0, 99);
  expect(await rows()).toMatchObject([{ sales: "1" }]);
  await write(1, 2);
  await write(0, 99);
  expect(await rows()).toMatchObject([{ sales: "2" }]);
});

test("a connection that breaks between two batches is replaced, and within one nothing is half written", async () => {
  const source = newSource();
  const query = await start(source);
  source.push(sale("a", 100));
  await query.processAllAvailable();
  await database.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace' AND pid <> pg_backend_pid()",
  );
  source.push(sale("a", 100));
  await query.processAllAvailable();
  expect(await rows()).toMatchObject([{ sales: "2" }]);
  await query.stop();
  // A constraint refuses the batch: the rows before it in the same batch are not there either.
  await database.query(`ALTER TABLE ${name} ADD CHECK (shop <> 'z')`);
  const again = await start(source);
  source.push(sale("b", 1));
  source.push(sale("z", 1));
  await expect(again.done).rejects.toMatchObject({ code: "POSTGRES_REFUSED" });
  expect(await rows()).toMatchObject([{ shop: "a", sales: "2" }]);
  await database.query(`ALTER TABLE ${name} DROP CONSTRAINT ${name}_shop_check`);
  const third = await start(source);
  await third.processAllAvailable();
  expect(await rows()).toMatchObject([
    { shop: "a", sales: "2" },
    { shop: "b", sales: "1" },
    { shop: "z", sales: "1" },
  ]);
});

test("in complete mode each batch replaces the table", async () => {
  const source = newSource();
  const query = await start(source, { replace: true }, "complete");
  await database.query(`INSERT INTO ${name} (shop) VALUES ('old')`);
  source.push(sale("a", 100));
  await query.processAllAvailable();
  expect(await rows()).toEqual([{ shop: "a", sales: "1", total: "1.00" }]);
});

test("a table that is not there, or lacks a column, is refused at the start", async () => {
  await expect(start(newSource(), { table: "no_such_table" })).rejects.toMatchObject({
    code: "POSTGRES_TABLE",
    message: expect.stringMatching(/is not there/),
  });
  await database.query(`ALTER TABLE ${name} DROP COLUMN total`);
  await expect(start(newSource())).rejects.toMatchObject({ code: "POSTGRES_TABLE", message: expect.stringMatching(/no column total/) });
  await expect(start(newSource(), { url: "postgres://127.0.0.1:1/none" })).rejects.toMatchObject({ code: "POSTGRES_UNREACHABLE" });
});
