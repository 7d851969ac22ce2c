// The test command's own judgement: what counts as passed, and that nothing which did not run does.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Tier {
  readonly name: string;
  readonly steps: readonly (readonly string[])[];
  readonly counts?: "tests";
  readonly needs?: readonly string[];
  readonly minutes: number;
}
interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly reasons: readonly string[];
  readonly log: string;
}
interface Servers {
  readonly environment: Readonly<Record<string, string>>;
  need(kinds: readonly string[]): Promise<string>;
}
interface RunTier {
  runTier(tier: Tier, servers: Servers, stopped: AbortSignal): Promise<Result>;
}

const standIn = fileURLToPath(new URL("stand-in.mjs", import.meta.url));
const never = new AbortController().signal;
const servers: Servers = { environment: {}, need: () => Promise.resolve("") };
const script = (...lines: readonly string[]): string[] => ["node", "--eval", lines.join(";")];
const vitestLike = (scenario: string, minutes = 1): Tier => ({
  name: "stand-in",
  steps: [["node", standIn, scenario]],
  counts: "tests",
  minutes,
});

let logs = "";
let runTier: RunTier["runTier"];
beforeAll(async () => {
  logs = mkdtempSync(join(tmpdir(), "millrace-test-"));
  process.env["MILLRACE_LOGS"] = logs;
  ({ runTier } = (await import(new URL("../../../hack/test/run-tier.mjs", import.meta.url).href)) as RunTier);
});
afterAll(() => {
  delete process.env["MILLRACE_LOGS"];
  rmSync(logs, { recursive: true, force: true });
});

test("tests are counted", async () => {
  expect(await runTier(vitestLike("passes"), servers, never)).toMatchObject({ passed: 2, failed: 0, reasons: [] });
  expect(await runTier(vitestLike("fails"), servers, never)).toMatchObject({
    passed: 1,
    failed: 2,
    reasons: ["some.test.ts > test 1\nexpected 1, saw 2", "some.test.ts > test 2\nexpected 1, saw 2", "node ended with 1"],
  });
});

test("a tier that ran no test has failed", async () => {
  expect(await runTier(vitestLike("empty"), servers, never)).toMatchObject({ passed: 0, failed: 1, reasons: ["it ran no test"] });
});

test("a tier that skipped a test has failed", async () => {
  expect(await runTier(vitestLike("skips"), servers, never)).toMatchObject({ passed: 2, failed: 1, reasons: ["1 tests did not run"] });
});

test("each file that could not be loaded counts as a failure", async () => {
  expect(await runTier(vitestLike("unloadable"), servers, never)).toMatchObject({
    passed: 1,
    failed: 2,
    reasons: ["some.test.ts\nit does not parse", "some.test.ts\nit does not parse", "node ended with 1"],
  });
});

test("a runner that crashes, or fails though its tests passed, has failed", async () => {
  expect(await runTier(vitestLike("crashes"), servers, never)).toMatchObject({ passed: 0, failed: 1 });
  expect(await runTier(vitestLike("lies"), servers, never)).toMatchObject({ passed: 2, failed: 1, reasons: ["node ended with 1"] });
});

test("a report of an earlier run is not taken for this one's", async () => {
  await runTier(vitestLike("passes"), servers, never);
  expect(await runTier(vitestLike("crashes"), servers, never)).toMatchObject({ passed: 0 });
});

test("a tier of other commands counts as one, and stops at the first that fails", async () => {
  const tier = (...steps: string[][]): Tier => ({ name: "plain", steps, minutes: 1 });
  expect(await runTier(tier(script("0"), script("0")), servers, never)).toMatchObject({ passed: 1, failed: 0 });
  const result = await runTier(tier(script("process.exit(2)"), script("console.log('second')")), servers, never);
  expect(result).toMatchObject({ passed: 0, failed: 1, reasons: ["node ended with 2"] });
  expect(readFileSync(result.log, "utf8")).not.toContain("\nsecond");
});

test("a program that is not there fails its tier", async () => {
  expect(await runTier({ name: "plain", steps: [["no-such-program"]], minutes: 1 }, servers, never)).toMatchObject({
    passed: 0,
    failed: 1,
  });
});

test("a server that does not start fails its tier, and its commands do not run", async () => {
  const broken: Servers = { environment: {}, need: () => Promise.reject(new Error("no java")) };
  const result = await runTier({ ...vitestLike("passes"), needs: ["kafka"] }, broken, never);
  expect(result).toMatchObject({ passed: 0, failed: 1 });
  expect(result.reasons[0]).toContain("no java");
});

/** The process that the hanging stand-in has started and told of, if it has come so far. */
function childIn(log: string): number | undefined {
  const told = existsSync(log) ? /child (\d+)\n/.exec(readFileSync(log, "utf8"))?.[1] : undefined;
  return told === undefined ? undefined : Number(told);
}

test("a tier that is interrupted is ended with everything it started", async () => {
  const stop = new AbortController();
  const log = join(logs, "stand-in.log");
  rmSync(log, { force: true });
  const running = runTier(vitestLike("hangs"), servers, stop.signal);
  await expect.poll(() => childIn(log)).toBeGreaterThan(1);
  stop.abort();
  const result = await running;
  expect(result).toMatchObject({ failed: 1, log });
  expect(result.reasons).toContain("it was interrupted");
  await expect.poll(() => isRunning(childIn(log) ?? 0)).toBe(false);
});

test("a tier that runs too long is ended with everything it started", async () => {
  // On a busy machine the first limits may be over before it has started anything.
  for (let minutes = 0.02; ; minutes *= 4) {
    const result = await runTier(vitestLike("hangs", minutes), servers, never);
    expect(result.failed).toBe(1);
    expect(result.reasons).toContain(`it ran longer than ${minutes} minutes`);
    const child = childIn(result.log);
    if (child === undefined) continue;
    await expect.poll(() => isRunning(child)).toBe(false);
    return;
  }
});

/** A process that has ended may stay in the table until somebody collects it. */
function isRunning(pid: number): boolean {
  const { status, stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return status === 0 && !stdout.startsWith("Z");
}

test("what a tier leaves in its temporary folder is told and removed, and kept in the logs when it failed", async () => {
  const leave = (code: number): Tier => ({
    name: "leaves",
    steps: [
      script(
        "const {join} = require('node:path')",
        "const folder = require('node:os').tmpdir()",
        "console.log('in ' + folder)",
        "require('node:fs').mkdirSync(join(folder, 'work'))",
        "require('node:fs').writeFileSync(join(folder, 'work', 'some.log'), 'why')",
        `process.exit(${code})`,
      ),
    ],
    minutes: 1,
  });
  const kept = join(logs, "leaves-left", "work", "some.log");
  for (const code of [1, 0]) {
    const { log } = await runTier(leave(code), servers, never);
    const said = readFileSync(log, "utf8");
    expect(said).toContain("left in the temporary folder: work");
    const folder = /^in (.*)$/m.exec(said)?.[1] ?? "";
    expect(folder).toMatch(/millrace-leaves-/);
    expect(existsSync(folder)).toBe(false);
    if (code === 1) expect(readFileSync(kept, "utf8")).toBe("why");
    else expect(existsSync(kept)).toBe(false);
  }
});

test("servers and tools are found in the tier's environment", async () => {
  const given: Servers = { environment: { MILLRACE_SERVERS: "/somewhere" }, need: () => Promise.resolve("kafka: ready\n") };
  const tier: Tier = {
    name: "plain",
    steps: [script("console.log(process.env.MILLRACE_SERVERS, process.version)")],
    needs: ["kafka"],
    minutes: 1,
  };
  const { log } = await runTier(tier, given, never);
  expect(readFileSync(log, "utf8")).toMatch(/kafka: ready\n[^\n]*\n\/somewhere v26\./);
});
