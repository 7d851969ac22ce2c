// `npm run demo`: a stateful event-time job over real flights, upgraded with a savepoint while it runs, and checked by another engine.
import { mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compare } from "./demo/compare.mjs";
import { prepareFlights } from "./demo/flights.mjs";
import { liveTable } from "./demo/live-table.mjs";
import { startUp } from "./demo/up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}.millrace/demo`;
const flights = 400_000;
/** Version 1 takes its time, so that there is something left for version 2. Of that each of three instances has a third, and one file is one instance's. */
const rates = { first: 15_000, second: 150_000 };
const upgradeAt = 45_000;

const say = (text) => process.stdout.write(`${text}\n`);
const step = (text) => say(`\n\u001b[1m${text}\u001b[0m`);

async function main() {
  const startedMs = Date.now();
  await rm(folder, { recursive: true, force: true });
  await mkdir(`${folder}/input`, { recursive: true });

  step("1. Real data");
  const prepared = await prepareFlights(`${folder}/input/flights.ndjson`, flights);
  say(
    `${flights.toLocaleString("en-US")} flights of 2001 in the order in which they left; ${prepared.outOfOrder.toLocaleString("en-US")} of them out of their schedule's order`,
  );

  step("2. Version 1 by `millrace up`, the operator on this machine: delays per airport over the last hour, every 15 minutes");
  const table = liveTable(`${folder}/output/hourly`, flights);
  const job = startUp({ root, folder, say: (line) => table.note(line) });
  job.apply("flights.yaml", rates.first);
  job.start();
  await table.follow(job, job.exited, (status) => status.records >= upgradeAt);

  step(
    "3. The manifest changes: version 2 stands by, a savepoint stops version 1, version 2 goes on from it (one more field in state, three instances)",
  );
  const upgradeMs = Date.now();
  job.apply("flights-v2.yaml", rates.second);
  const upgraded = job.said(/Upgraded: .* from savepoint (\S+), nothing was processed for (\d+) ms/);
  await table.follow(job, upgraded);
  const [, savepoint, gapMs] = await upgraded;
  say(`version 2 was out ${((Date.now() - upgradeMs) / 1000).toFixed(1)} s after the change; nothing was processed for ${gapMs} ms`);
  await table.follow(job, job.exited);
  const code = await job.exited;
  if (code !== 0) throw new Error(`millrace up ended with exit code ${code}`);

  step("4. The whole output against a batch computation by DuckDB");
  const result = await compare({ input: prepared, folder, savepoint, root });
  say(`windows   ${result.windows.toLocaleString("en-US")} rows, ${result.windowDifferences} differences`);
  say(`late      ${result.late.toLocaleString("en-US")} flights, ${result.lateDifferences} differences`);
  for (const line of result.examples) say(`  ${line}`);
  const exact = result.windowDifferences === 0 && result.lateDifferences === 0;
  say(`\n${exact ? "no differences" : "THERE ARE DIFFERENCES"}, ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  say("The job is docs/examples/flights/flights.ts; its output is in .millrace/demo/output.");
  process.exitCode = exact ? 0 : 1;
}

await main();
