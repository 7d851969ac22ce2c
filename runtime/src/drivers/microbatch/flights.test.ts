// The same programs over real flights as a batch and as a stream in every output mode: all results are those of DuckDB over the whole input.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { files } from "../../connectors/files/index.ts";
import { int32, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import { avg, count, countDistinct, max, min, sum, window } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import type { OutputMode } from "../../operators/frame/frame-aggregate.ts";
import { json } from "../../serde/json/json.ts";
import { runBatchQuery } from "./batch-query.ts";
import { StreamingQuery } from "./streaming-query.ts";

const Flight = schema({ scheduled: timestamp(), origin: string(), destination: string(), delay: int32(), distance: int32() });
type Flight = {
  readonly scheduled: number;
  readonly origin: string;
  readonly destination: string;
  readonly delay: number;
  readonly distance: number;
};

let folder: string;
let connection: DuckDBConnection;
let instance: DuckDBInstance;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flights-"));
  const data = fileURLToPath(new URL("..", import.meta.resolve("vega-datasets"))).replace(/\/$/, "");
  instance = await DuckDBInstance.create(":memory:");
  connection = await instance.connect();
  await connection.run(`
    create table input as
      select epoch_ms(strptime(date, '%Y/%m/%d %H:%M'))::bigint as scheduled, origin, destination, delay::int as delay, distance::int as distance
      from read_json('${data}/data/flights-10k.json')`);
  await connection.run(`copy (select * from input order by scheduled) to '${folder}/flights.ndjson' (format json)`);
  // What closes the last windows of a stream, behind all flights; results of it are left out.
  const flights = await readFile(join(folder, "flights.ndjson"), "utf8");
  await writeFile(
    join(folder, "stream.ndjson"),
    `${flights}${JSON.stringify({ scheduled: 4_000_000_000_000, origin: "ZZZ", destination: "ZZZ", delay: 0, distance: 0 })}\n`,
  );
});

afterAll(async () => {
  connection.closeSync();
  instance.closeSync();
  await rm(folder, { recursive: true, force: true });
});

type Program = (flights: DataFrame<Flight>, session: Session) => DataFrame;

function read(session: Session, name: string, streaming: boolean): DataFrame<Flight> {
  const endpoint = files({ path: join(folder, streaming ? "stream.ndjson" : "flights.ndjson"), format: json(Flight) });
  return streaming ? session.readStream(endpoint, { name, maxRecordsPerTrigger: 1700 }) : session.read(endpoint, { name });
}

const text = (row: Record<string, unknown>): string =>
  JSON.stringify(row, (_key, value: unknown) => (typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(10) : value));

async function asBatch(program: Program): Promise<readonly string[]> {
  const session = new Session();
  let rows: readonly Record<string, unknown>[] = [];
  const frame = program(read(session, "flights", false), session);
  await runBatchQuery(
    frame.write({
      kind: "foreachBatch",
      fn: (batch) => {
        rows = batch.rows() as readonly Record<string, unknown>[];
      },
    }),
  );
  return rows.map(text).sort();
}

/** The result that the batches of a stream make: all rows, the last of each key, or the last batch. */
async function asStream(
  program: Program,
  mode: OutputMode,
  key: readonly string[],
): Promise<{ readonly rows: readonly string[]; readonly batches: number }> {
  const session = new Session();
  const batches: (readonly Record<string, unknown>[])[] = [];
  const query = program(read(session, "flights", true), session).writeStream(
    {
      kind: "foreachBatch",
      fn: (batch) => {
        batches.push(batch.rows() as readonly Record<string, unknown>[]);
      },
    },
    { name: "flights", mode, trigger: { availableNow: true } },
  );
  await (await StreamingQuery.start(query)).done;
  const all = mode === "complete" ? (batches.at(-1) ?? []) : batches.flat();
  const last = new Map(all.map((row, index) => [mode === "update" ? key.map((name) => String(row[name])).join(" ") : String(index), row]));
  const rows = [...last.values()].filter((row) => row["origin"] !== "ZZZ");
  return { rows: rows.map(text).sort(), batches: batches.length };
}

async function byDuckDb(sql: string, names: readonly string[]): Promise<readonly string[]> {
  const reader = await connection.runAndReadAll(sql);
  return reader
    .getRows()
    .map((row) =>
      text(Object.fromEntries(row.map((value, index) => [names[index] as string, typeof value === "bigint" ? Number(value) : value]))),
    )
    .sort();
}

interface Case {
  readonly name: string;
  readonly program: Program;
  readonly modes: readonly OutputMode[];
  readonly key: readonly string[];
  readonly names: readonly string[];
  readonly sql: string;
}

const cases: readonly Case[] = [
  {
    name: "an aggregation per airport",
    program: (flights) =>
      flights
        .groupBy("origin")
        .agg((c) => ({ flights: count(), meanDelay: avg(c.delay), distance: sum(c.distance), worst: max(c.delay), best: min(c.delay) })),
    modes: ["update", "complete"],
    key: ["origin"],
    names: ["origin", "flights", "meanDelay", "distance", "worst", "best"],
    sql: "select origin, count(*), avg(delay), sum(distance)::bigint, max(delay), min(delay) from input group by origin",
  },
  {
    name: "a windowed aggregation per airport",
    program: (flights) =>
      flights
        .withWatermark("scheduled", "2 d")
        .groupBy((c) => ({ w: window(c.scheduled, "6 h"), origin: c.origin }))
        .agg((c) => ({ flights: count(), late: count(c.delay).filter(c.delay.gt(15)) }))
        .select("w_start", "origin", "flights", "late"),
    modes: ["append", "update", "complete"],
    key: ["w_start", "origin"],
    names: ["w_start", "origin", "flights", "late"],
    sql: "select scheduled - scheduled % 21600000, origin, count(*), count(*) filter (where delay > 15) from input group by all",
  },
  {
    name: "a sliding window with an aggregate that takes rows",
    program: (flights) =>
      flights
        .withWatermark("scheduled", "2 d")
        .groupBy((c) => ({ w: window(c.scheduled, "6 h", "3 h"), origin: c.origin }))
        .agg((c) => ({ places: countDistinct(c.destination) }))
        .select("w_start", "origin", "places"),
    modes: ["append", "update", "complete"],
    key: ["w_start", "origin"],
    names: ["w_start", "origin", "places"],
    sql: `select scheduled - scheduled % 10800000 - i * 10800000 as w, origin, count(distinct destination)
          from input, range(2) as r(i) group by all`,
  },
  {
    name: "a join with a table of its own results",
    program: (flights, session) => {
      const far = session
        .read(files({ path: join(folder, "flights.ndjson"), format: json(Flight) }), { name: "reference" })
        .groupBy("origin")
        .agg((c) => ({ farthest: max(c.distance) }), { name: "farthest" });
      return flights
        .join(far, ["origin"])
        .filter((c) => c.distance.eq(c.farthest))
        .select("origin", "destination", "distance", "scheduled");
    },
    modes: ["append"],
    key: [],
    names: ["origin", "destination", "distance", "scheduled"],
    sql: `select origin, destination, distance, scheduled from input
          join (select origin, max(distance) as farthest from input group by origin) using (origin) where distance = farthest`,
  },
  {
    name: "one row per route",
    program: (flights) => flights.select("origin", "destination").dropDuplicates(),
    modes: ["append"],
    key: [],
    names: ["origin", "destination"],
    sql: "select distinct origin, destination from input",
  },
  {
    name: "a query in SQL",
    program: (flights, session) => {
      session.createView("flights", flights);
      return session.sql(
        "SELECT origin, count(*) AS flights, sum(distance) / 1000 AS thousands FROM flights WHERE delay BETWEEN -5 AND 60 AND destination <> 'ORD' GROUP BY origin HAVING count(*) > 20",
      );
    },
    modes: ["complete"],
    key: ["origin"],
    names: ["origin", "flights", "thousands"],
    sql: "select origin, count(*), sum(distance)::bigint / 1000 from input where delay between -5 and 60 and destination <> 'ORD' group by origin having count(*) > 20",
  },
];

describe.each(cases)("$name", ({ program, modes, key, names, sql }) => {
  test("as a batch is DuckDB's result", async () => {
    const expected = await byDuckDb(sql, names);
    expect(expected.length).toBeGreaterThan(10);
    expect(await asBatch(program)).toEqual(expected);
  });

  test.each(modes)("as a stream in %s mode is DuckDB's result", async (mode) => {
    const { rows, batches } = await asStream(program, mode, key);
    expect(batches).toBeGreaterThan(5);
    expect(rows).toEqual(await byDuckDb(sql, names));
  });
});
