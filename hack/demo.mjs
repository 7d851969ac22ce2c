// `npm run demo`: a stateful event-time job over real flights, upgraded with a savepoint while it runs, and checked by another engine.
import { mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compare } from "./demo/compare.mjs";
import { prepareFlights } from "./demo/flights.mjs";
import { startJob } from "./demo/job.mjs";
import { liveTable } from "./demo/live-table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}.millrace/demo`;
const flights = 400_000;
const perSecond = 40_000;

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

  step("2. Version 1: delays per airport over the last hour, every 15 minutes");
  const first = await startJob({ root, folder, manifest: "flights.yaml", storage: "snapshots-v1", rate: perSecond });
  const table = liveTable(`${folder}/output/hourly`);
  await table.follow(first, (status) => status.records >= flights / 2);

  step("3. Upgrade: a savepoint while it runs, then version 2 from it (one more field in state, three instances instead of one)");
  const upgradeMs = Date.now();
  const savepoint = await first.savepoint("before-upgrade", "stop");
  await first.exited;
  const size = `${Math.ceil(savepoint.sizeBytes / 1024)} KiB`;
  say(
    `savepoint ${savepoint.location.replace(`file://${root}`, "")}, ${size}, job stopped ${Date.now() - upgradeMs} ms after it was asked for`,
  );
  const second = await startJob({
    root,
    folder,
    manifest: "flights-v2.yaml",
    storage: "snapshots-v2",
    rate: perSecond,
    fromSavepoint: savepoint.location,
  });
  say(`version 2 runs ${Date.now() - upgradeMs} ms after the savepoint was asked for`);
  await table.follow(second, () => false);
  const code = await second.exited;
  if (code !== 0) throw new Error(`the job ended with exit code ${code}`);

  step("4. The whole output against a batch computation by DuckDB");
  const result = await compare({ input: prepared, folder, savepoint: savepoint.location, root });
  say(`windows   ${result.windows.toLocaleString("en-US")} rows, ${result.windowDifferences} differences`);
  say(`late      ${result.late.toLocaleString("en-US")} flights, ${result.lateDifferences} differences`);
  for (const line of result.examples) say(`  ${line}`);
  const exact = result.windowDifferences === 0 && result.lateDifferences === 0;
  say(`\n${exact ? "no differences" : "THERE ARE DIFFERENCES"}, ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  say("The job is docs/examples/flights/flights.ts; its output is in .millrace/demo/output.");
  process.exitCode = exact ? 0 : 1;
}

await main();
