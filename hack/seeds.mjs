// `npm run test:seeds`: runs the random tests again and again, each round with a seed of its own. `npm test` always takes the same seed, so that
// it decides about a change and not about luck; what other seeds find is found here.
//
//   npm run test:seeds -- --rounds 20 --minutes 30      whichever comes first; without either one round
//   npm run test:seeds -- --files runtime/src/state     only files whose path holds this
//   npm run test:seeds -- --cases 4                     four times as many cases a test
//   npm run test:seeds -- --seed 7                      this seed first
import { randomInt } from "node:crypto";
import { rmSync } from "node:fs";
import { relative } from "node:path";
import { Problem, runMain } from "./real/problem.mjs";
import { repository } from "./real/paths.mjs";
import { parseOptions } from "./real/tools.mjs";
import { runTier } from "./test/run-tier.mjs";
import { seededTests } from "./test/seeded-tests.mjs";

/** One round takes minutes, on a busy machine many. */
const ROUND_MINUTES = 120;
/** fast-check takes 32 bits with a sign. */
const SEED_LIMIT = 2 ** 31;
const print = (line) => process.stdout.write(`${line}\n`);

await runMain(async () => {
  const options = parseOptions(
    process.argv.slice(2),
    { rounds: "number", minutes: "number", cases: "number", seed: "number", files: "text" },
    "npm run test:seeds -- [--rounds N] [--minutes M] [--cases N] [--seed N] [--files PART]",
  );
  const { minutes = Infinity, rounds = minutes === Infinity ? 1 : Infinity, cases = 1 } = options;
  const files = seededTests(repository).filter((file) => file.includes(options.files ?? ""));
  if (files.length === 0) throw new Problem(`no random test has ${options.files} in its path`, "name a folder or file that has some");
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  const endMs = performance.now() + minutes * 60_000;
  print(`${files.length} files with random tests`);
  let failing = 0;
  let round = 0;
  while (round < rounds && performance.now() < endMs && !stop.signal.aborted) {
    const seed = round === 0 && options.seed !== undefined ? options.seed : randomInt(SEED_LIMIT);
    round++;
    const start = performance.now();
    const environment = { MILLRACE_SEED: String(seed), MILLRACE_CASES: String(cases) };
    const { passed, failed, reasons, log } = await runTier(tierOf(seed, files), { environment }, stop.signal);
    print(
      `round ${round}: MILLRACE_SEED=${seed}: ${passed} passed, ${failed} failed (${((performance.now() - start) / 1000).toFixed(0)} s)`,
    );
    rmSync(log.replace(/\.log$/, ".json"), { force: true });
    if (failed === 0) {
      rmSync(log);
      continue;
    }
    if (stop.signal.aborted) break;
    failing++;
    for (const reason of reasons) print(`\n${reason}`);
    const again = cases === 1 ? "" : `MILLRACE_CASES=${cases} `;
    print(
      `\nagain: MILLRACE_SEED=${seed} ${again}npx vitest run --project unit FILE; the whole output is in ${relative(repository, log)}\n`,
    );
  }
  print(`${round} rounds, ${failing} of them failed`);
  process.exitCode = failing === 0 ? 0 : 1;
});

function tierOf(seed, files) {
  return {
    name: `seeds-${seed}`,
    steps: [["node", "node_modules/vitest/vitest.mjs", "run", "--project", "unit", ...files]],
    lane: "unit",
    counts: "tests",
    minutes: ROUND_MINUTES,
  };
}
