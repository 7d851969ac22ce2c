// Compares the job's whole output with the same computation by DuckDB over all of the data at once.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";

const sizeMs = 3_600_000;
const slideMs = 900_000;
const boundMs = 2 * 3_600_000;

/** The number of flights that version 1 had read at the savepoint: the lines before the position that the savepoint holds. */
async function flightsBefore(savepoint, folder, root) {
  const text = execFileSync(process.execPath, [`${root}runtime/bin/millrace.js`, "savepoint", "inspect", savepoint, "--json"], {
    encoding: "utf8",
  });
  const [split] = JSON.parse(text).manifest.operators.flights.source.splits;
  const bytes = (await readFile(`${folder}/input/flights.ndjson`)).subarray(0, split.position.at);
  let lines = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}

export async function compare({ input: { connection }, folder, savepoint, root }) {
  const cut = await flightsBefore(savepoint, folder, root);
  // Event time reaches, before each flight, the latest schedule seen so far less the bound. A window takes a flight while it is open.
  await connection.run(`
    create table placed as
      with seen as (
        select *, max(scheduled) over (order by n rows between unbounded preceding and 1 preceding) - ${boundMs} - 1 as watermark from input)
      select *, (scheduled // ${slideMs}) * ${slideMs} - k * ${slideMs} as windowStart
      from seen, range(${sizeMs / slideMs}) ks(k)`);
  await connection.run(`alter table placed add column open boolean`);
  await connection.run(`update placed set open = watermark is null or watermark < windowStart + ${sizeMs} - 1`);
  await connection.run(`
    create table expected as
      select origin, windowStart, windowStart + ${sizeMs} as windowEnd, count(*) as flights, avg(delay) as meanDelay, max(delay) as worstDelay,
        sum(distance) filter (where n > ${cut}) as distance,
        -- Version 1 gave what had closed by its last flight; its rows have no such field.
        windowStart + ${sizeMs} - 1 <= (select max(scheduled) - ${boundMs} - 1 from input where n <= ${cut}) as byFirst
      from placed where open group by origin, windowStart`);
  await connection.run(
    `create table expectedLate as select n, scheduled, origin, destination, delay, distance from placed group by all having not bool_or(open)`,
  );
  await connection.run(`
    create table given as select * from read_json('${folder}/output/hourly/*.ndjson', format = 'newline_delimited', columns = {
      origin: 'VARCHAR', windowStart: 'BIGINT', windowEnd: 'BIGINT', flights: 'BIGINT', meanDelay: 'DOUBLE', worstDelay: 'INTEGER', distance: 'BIGINT'})`);
  await connection.run(`
    create table givenLate as select * from read_json('${folder}/output/late/*.ndjson', format = 'newline_delimited', columns = {
      scheduled: 'BIGINT', origin: 'VARCHAR', destination: 'VARCHAR', delay: 'INTEGER', distance: 'INTEGER'})`);
  const all = "origin, windowStart, windowEnd, flights, meanDelay, worstDelay, distance";
  const wanted = `select origin, windowStart, windowEnd, flights, meanDelay, worstDelay, case when byFirst then null else coalesce(distance, 0) end as distance from expected`;
  const late = "scheduled, origin, destination, delay, distance";
  const differences = await rows(connection, both(`select ${all} from given`, wanted));
  const lateDifferences = await rows(connection, both(`select ${late} from givenLate`, `select ${late} from expectedLate`));
  const [[windows]] = await rows(connection, "select count(*) from given");
  const [[lateRows]] = await rows(connection, "select count(*) from givenLate");
  const examples = [...differences, ...lateDifferences].slice(0, 10).map((row) => row.join("  "));
  return {
    windows: Number(windows),
    windowDifferences: differences.length,
    late: Number(lateRows),
    lateDifferences: lateDifferences.length,
    examples,
  };
}

// Rows that are on one side only, each as often as it is there too often.
function both(given, wanted) {
  return `(select 'given' as side, * from (${given} except all ${wanted})) union all (select 'expected' as side, * from (${wanted} except all ${given}))`;
}

async function rows(connection, sql) {
  return (await connection.runAndReadAll(sql)).getRows();
}
