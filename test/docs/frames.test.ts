// The DataFrame examples run: over files as a batch and as a stream to the same result, and the SQL one to a result worked out by hand.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { runBatchQuery, StreamingQuery } from "millrace/dataframe";
import { afterAll, beforeAll, expect, test } from "vitest";
import delays from "../../docs/examples/frames/delays.ts";
import routes from "../../docs/examples/frames/routes.ts";
import { memoryRecords } from "../../runtime/src/connectors/memory/index.ts";
import type { SourceRelation } from "../../runtime/src/dataframe/relation/relation.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "frames-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const hour = 3_600_000;
const flight = (origin: string, scheduled: number, delay: number, distance = 500): object => ({
  scheduled,
  origin,
  destination: "LIS",
  delay,
  distance,
});

async function readParquet(path: string): Promise<readonly unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const reader = await connection.runAndReadAll(
    `SELECT epoch_ms("w_start")::DOUBLE AS start, origin, flights::INTEGER, late::INTEGER, mean, worst FROM read_parquet('${path}/**/*.parquet') ORDER BY ALL`,
  );
  const rows = reader.getRows();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

test("delays: as a batch and as a stream", async () => {
  const input = join(folder, "flights.ndjson");
  const flights = [
    flight("OPO", 0, 10),
    flight("OPO", hour, 20),
    flight("FAO", 2 * hour, 0),
    flight("OPO", 2 * hour, 99, 100),
    flight("OPO", 7 * hour, 5),
  ];
  // The last flight lets event time pass everything before; its own window stays open in the stream.
  const closing = flight("ZZZ", 1000 * hour, 0);
  await writeFile(input, [...flights, closing].map((row) => `${JSON.stringify(row)}\n`).join(""));
  const expected = [
    [0, "FAO", 1, 0, 0, 0],
    [0, "OPO", 2, 1, 15, 20],
    [6 * hour, "OPO", 1, 0, 5, 5],
  ];
  const batch = delays.build({ input, output: join(folder, "batch") });
  if (batch.kind !== "batch") throw new Error("not a batch");
  expect(await runBatchQuery(batch)).toMatchObject({ inputRows: 6, outputRows: 4 });
  expect((await readParquet(join(folder, "batch"))).slice(0, 3)).toEqual(expected);
  const stream = delays.build({ input, output: join(folder, "stream"), as: "stream" });
  if (stream.kind !== "stream") throw new Error("not a stream");
  await (await StreamingQuery.start(stream)).done;
  expect(await readParquet(join(folder, "stream"))).toEqual(expected);
  expect(await readdir(join(folder, "stream"))).not.toEqual([]);
});

test("routes: the whole result with every trigger", async () => {
  const query = routes.build();
  if (query.kind !== "stream" || query.relation.kind !== "sql") throw new Error("not a stream of SQL");
  const source = memoryRecords({ bounded: true });
  for (const [origin, delay] of [
    ["OPO", 1],
    ["FAO", 2],
    ["OPO", 3],
    ["OPO", 70],
  ] as const)
    source.push({ value: JSON.stringify(flight(origin, 0, delay)) });
  source.end();
  const view = query.relation.views.get("flights") as SourceRelation;
  let rows: readonly unknown[] = [];
  const tested = {
    ...query,
    relation: { ...query.relation, views: new Map([["flights", { ...view, source }]]) },
    trigger: { kind: "availableNow" as const },
    sink: {
      kind: "foreachBatch" as const,
      fn: (batch: { rows(): readonly unknown[] }) => {
        rows = batch.rows();
      },
    },
  };
  await (await StreamingQuery.start(tested)).done;
  expect(rows).toEqual([
    { route: "OPO-LIS", flights: 2 },
    { route: "FAO-LIS", flights: 1 },
  ]);
});
