// `npm test`: runs every tier (hack/test/tiers.mjs), starting and ending the real servers itself. The last line is `N passed, N failed`.
//
//   npm test                        everything
//   npm test -- --tier unit,real    these tiers
//   npm test -- --serial            one tier after another, instead of two lanes beside each other
//   npm test -- --list              what there is
//
// Fails when a test fails, when a tier could not run or ran no test, and when a test was skipped.
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { Problem, runMain } from "./real/problem.mjs";
import { parseOptions } from "./real/tools.mjs";
import { runTier } from "./test/run-tier.mjs";
import { endLeftovers, Servers } from "./test/servers.mjs";
import { LANES, tiers } from "./test/tiers.mjs";

/** Of the log of a failed tier this much is shown. */
const LOG_LINES = 100;
const print = (line) => process.stdout.write(`${line}\n`);
const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`.padStart(8);
const width = Math.max(...tiers.map(({ name }) => name.length));

function chosen(names) {
  if (names === undefined) return tiers;
  const wanted = names.split(",");
  const unknown = wanted.filter((name) => !tiers.some((tier) => tier.name === name));
  if (unknown.length > 0)
    throw new Problem(`there is no tier ${unknown.join(", ")}`, `choose from ${tiers.map(({ name }) => name).join(", ")}`);
  return tiers.filter(({ name }) => wanted.includes(name));
}

/** The tiers that run now, shown in the last line of a terminal. */
const running = new Set();

function show() {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${running.size === 0 ? "" : `  ..    ${[...running].join(", ")}`}`);
}

async function report(tier, servers, stopped) {
  const start = performance.now();
  running.add(tier.name);
  show();
  const result = await runTier(tier, servers, stopped);
  running.delete(tier.name);
  if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
  const isGood = result.failed === 0;
  const counted = tier.counts === "tests" ? `${result.passed} passed${isGood ? "" : `, ${result.failed} failed`}` : "";
  print(
    `  ${isGood ? "ok  " : "FAIL"}  ${tier.name.padEnd(width)}  ${seconds(start)}  ${tier.what}${counted === "" ? "" : `: ${counted}`}`,
  );
  if (!isGood) {
    const lines = readFileSync(result.log, "utf8").trimEnd().split("\n");
    const cut = lines.length > LOG_LINES ? ` (its last ${LOG_LINES} of ${lines.length} lines)` : "";
    print(`\n----- ${relative(process.cwd(), result.log)}${cut}\n${lines.slice(-LOG_LINES).join("\n")}\n-----\n`);
  }
  show();
  return result;
}

await runMain(async () => {
  const options = parseOptions(
    process.argv.slice(2),
    { tier: "text", serial: "flag", list: "flag" },
    "npm test -- [--tier a,b] [--serial] [--list]",
  );
  if (options.list)
    return tiers.forEach((tier) =>
      print(`${tier.name.padEnd(width)}  ${tier.what}${tier.needs ? ` (needs ${tier.needs.join(", ")})` : ""}`),
    );
  const selected = chosen(options.tier);
  const stop = new AbortController();
  // A second signal finds the default handler: it ends this process at once, and the next run tidies up.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  const servers = new Servers();
  const start = performance.now();
  let passed = 0;
  let failed = 0;
  const reasons = [];
  try {
    await endLeftovers();
    const runAll = async (some) => {
      for (const [index, tier] of some.entries()) {
        const result = stop.signal.aborted ? { passed: 0, failed: 1, reasons: [] } : await report(tier, servers, stop.signal);
        passed += result.passed;
        failed += result.failed;
        for (const reason of result.reasons) reasons.push(`${tier.name}: ${reason}`);
        const later = some.slice(index + 1).flatMap(({ needs = [] }) => needs);
        await servers.release((tier.needs ?? []).filter((kind) => !later.includes(kind)));
      }
    };
    if (options.serial) await runAll(selected);
    else {
      await runAll(selected.filter(({ lane }) => lane === undefined));
      await Promise.all(LANES.map((name) => runAll(selected.filter(({ lane }) => lane === name))));
    }
  } finally {
    await servers.end();
  }
  if (stop.signal.aborted) print("interrupted: tiers that did not run count as failed");
  // At the end, where a reader of a long or shortened output finds them.
  for (const reason of reasons) print(`\n${reason}`);
  if (reasons.length > 0) print("");
  print(`${selected.length} of ${tiers.length} tiers in ${seconds(start).trim()}, logs in .cache/logs`);
  print(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
});
