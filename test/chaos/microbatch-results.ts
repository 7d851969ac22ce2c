// What the chaos programs of micro-batches read in the end, from a topic and from Parquet files, and how it is compared.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { openStorage } from "../../runtime/src/checkpoint/storage/open-storage.ts";
import { consumeCommitted } from "../support/consume.ts";
import type { RealS3 } from "../support/real.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);

export interface ResultRow {
  readonly key: string;
  readonly windowStart: number;
  readonly n: number;
  readonly least: number;
  readonly greatest: number;
  readonly total: number;
}

/** Says how the rows differ from what they must be; true where they do not. */
export function compareResults(name: string, rows: readonly ResultRow[], expected: ReadonlyMap<string, string>): boolean {
  const seen = new Map<string, string>();
  let duplicates = 0;
  let wrong = 0;
  for (const row of rows) {
    const id = `${row.key} ${row.windowStart}`;
    if (seen.has(id)) duplicates++;
    seen.set(id, `${row.n} ${row.least} ${row.greatest} ${row.total}`);
    if (seen.get(id) !== expected.get(id)) wrong++;
  }
  const missing = [...expected.keys()].filter((id) => !seen.has(id)).length;
  say(`${name}: expected ${expected.size} rows, seen ${seen.size}: ${missing} missing, ${duplicates} duplicate, ${wrong} wrong`);
  return missing === 0 && duplicates === 0 && wrong === 0;
}

export async function readTopic(bootstrap: readonly string[], topic: string): Promise<readonly ResultRow[]> {
  return (await consumeCommitted(bootstrap, topic)).map(({ value }) => JSON.parse(value) as ResultRow);
}

/** What DuckDB reads of the Parquet files below a URL. */
export async function readFiles(parquet: string, s3: RealS3): Promise<readonly ResultRow[]> {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region });
  const storage = await openStorage(parquet, { s3: { endpoint: s3.endpoint } });
  const folder = await mkdtemp(join(tmpdir(), "microbatch-"));
  try {
    let files = 0;
    for await (const { path } of storage.list("")) {
      if (path.endsWith(".parquet")) await writeFile(join(folder, `${files++}.parquet`), (await storage.get(path)).content);
    }
    say(`${files} Parquet files`);
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const reader = await connection.runAndReadAll(
      `SELECT key, epoch_ms("windowStart"), n, least, greatest, total FROM read_parquet('${folder}/*.parquet')`,
    );
    return reader.getRows().map(([key, windowStart, n, least, greatest, total]) => ({
      key: String(key),
      windowStart: Number(windowStart),
      n: Number(n),
      least: Number(least),
      greatest: Number(greatest),
      total: Number(total),
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
    await storage.close();
  }
}
