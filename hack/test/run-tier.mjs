// Runs one tier: its commands in order, their output into the tier's log, and what it counted.
import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { createWriteStream, existsSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join, relative } from "node:path";
import { finished } from "node:stream/promises";
import { stripVTControlCharacters } from "node:util";
import { logsPath, repository } from "../real/paths.mjs";
import { Problem } from "../real/problem.mjs";
import { nodeFolder } from "./nodes.mjs";
import { makeTemporaryFolder, removeTemporaryFolder } from "./temporary-folder.mjs";

const nodes = ["node", "node22", "node24"];

/** A failed test is told of by this much of its message: enough for what was expected and seen. */
const MESSAGE_CHARACTERS = 600;

/** Result of a tier: `{ passed, failed, reasons, log }`; failed is at least 1 when anything was wrong. `stopped` is an AbortSignal. */
export async function runTier(tier, servers, stopped) {
  const logs = logsPath();
  const log = join(logs, `${tier.name}.log`);
  const report = join(logs, `${tier.name}.json`);
  const output = createWriteStream(log);
  const counts = { passed: 0, failed: 0, reasons: [] };
  const temporary = makeTemporaryFolder(tier.name);
  const keepIn = join(logs, `${tier.name}-left`);
  rmSync(keepIn, { recursive: true, force: true });
  try {
    if (tier.needs !== undefined) output.write(await servers.need(tier.needs));
    for (const step of tier.steps) {
      rmSync(report, { force: true });
      const outcome = await runStep(tier, step, { output, report, environment: { ...servers.environment, TMPDIR: temporary }, stopped });
      if (tier.counts === "tests") addTests(counts, report);
      if (outcome !== undefined) {
        counts.reasons.push(outcome);
        break;
      }
    }
    if (tier.counts === "tests" && counts.passed + counts.failed === 0) counts.reasons.push("it ran no test");
    if (tier.counts !== "tests" && counts.reasons.length === 0) counts.passed = 1;
  } catch (error) {
    counts.reasons.push(error instanceof Problem ? error.message : String(error.stderr ?? error.stack));
    output.write(`${counts.reasons.at(-1)}\n`);
  }
  output.write(tidyUp(temporary, counts.reasons.length + counts.failed > 0 ? keepIn : undefined));
  output.end();
  await finished(output);
  if (counts.reasons.length > 0) counts.failed = Math.max(counts.failed, 1);
  return { ...counts, log };
}

/** Removes the tier's temporary folder; says what was left there, and where it is kept when the tier has failed. */
function tidyUp(temporary, keepIn) {
  try {
    const left = removeTemporaryFolder(temporary, keepIn);
    if (left.length === 0) return "";
    return `left in the temporary folder: ${left.join(", ")}${keepIn === undefined ? "" : `; kept in ${relative(repository, keepIn)}`}\n`;
  } catch (error) {
    // What a process that is on its way out still writes there is no reason to fail.
    return `${temporary} could not be removed: ${error.message}\n`;
  }
}

/** Runs a command in a process group of its own; undefined when it ended well, else what went wrong. */
async function runStep(tier, step, { output, report, environment, stopped }) {
  const [name, ...args] = step;
  const folder = await nodeFolder(nodes.includes(name) ? name : "node");
  const program = nodes.includes(name) ? join(folder, "node") : join(repository, "node_modules/.bin", name);
  if (tier.counts === "tests") args.push("--reporter=default", "--reporter=json", `--outputFile.json=${report}`);
  output.write(`$ ${[name, ...args].join(" ")}\n`);
  // This Node comes first on the PATH, so that what a test starts runs on it too.
  const path = [...new Set([folder, join(repository, "node_modules/.bin")])].join(delimiter);
  const env = {
    ...process.env,
    ...environment,
    ...tier.variables,
    PATH: `${path}${delimiter}${process.env.PATH}`,
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
  };
  const child = spawn(program, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  // Who computes all the time gives way to who waits for answers in time.
  if (tier.lane === "unit" && !tier.urgent) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const end = (reason) => {
    outcome ??= reason;
    endGroup(child);
  };
  let outcome;
  const late = setTimeout(() => end(`it ran longer than ${tier.minutes} minutes`), tier.minutes * 60_000);
  const onStop = () => end("it was interrupted");
  if (stopped.aborted) onStop();
  stopped.addEventListener("abort", onStop);
  return new Promise((resolve) => {
    child.once("error", (error) => (outcome ??= error.message));
    child.once("close", (code, signal) => {
      clearTimeout(late);
      stopped.removeEventListener("abort", onStop);
      resolve(outcome ?? (code === 0 ? undefined : `${name} ended with ${code ?? signal}`));
    });
  });
}

/** Ends the command and everything it started. */
function endGroup(child) {
  for (const [signal, afterMs] of [
    ["SIGTERM", 0],
    ["SIGKILL", 5000],
  ]) {
    setTimeout(() => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // Gone already.
      }
    }, afterMs).unref();
  }
}

function addTests(counts, report) {
  if (!existsSync(report)) {
    counts.reasons.push("it wrote no report");
    return;
  }
  const result = JSON.parse(readFileSync(report, "utf8"));
  counts.passed += result.numPassedTests;
  counts.failed += result.numFailedTests;
  const skipped = result.numTotalTests - result.numPassedTests - result.numFailedTests;
  if (skipped > 0) counts.reasons.push(`${skipped} tests did not run`);
  // A file that cannot be loaded has no failed test, only a failed suite.
  for (const file of result.testResults) {
    const name = relative(repository, file.name);
    if (file.status === "failed" && file.assertionResults.every((test) => test.status === "passed")) {
      counts.failed++;
      counts.reasons.push(reasonOf(name, file.message));
    }
    for (const test of file.assertionResults) {
      if (test.status === "failed") counts.reasons.push(reasonOf(`${name} > ${test.fullName}`, test.failureMessages.join("\n")));
    }
  }
}

function reasonOf(what, message) {
  const text = stripVTControlCharacters(message).trim();
  return `${what}\n${text.length > MESSAGE_CHARACTERS ? `${text.slice(0, MESSAGE_CHARACTERS)} ...` : text}`;
}
