// The `millrace` command with a job of the dataflow API in batches: a manifest, a trigger, a change of shape and back, and the operator's driver.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, Command, jobs, refused, workFolder } from "./command.ts";
import { addInput, expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const timeoutMs = 240_000;
/** Each goes on in time where the one before it ends: what is late would be dropped. */
const parts = [0, 1, 2, 3].map((part) => readings(2000, part).map((reading) => ({ ...reading, at: reading.at + part * 2000 * 50 })));
/** Closes every window before it. */
const closing = { key: "end", value: 0, at: Date.UTC(2030, 0, 1) };
const module = join(jobs, "counts.ts");

beforeAll(build, timeoutMs);

function manifestOf(name: string, spec: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify({ apiVersion: "millrace.dev/v1alpha1", kind: "MicroBatchJob", metadata: { name }, spec }));
  return path;
}

async function savepoint(command: Command, rest: string): Promise<string> {
  const body = JSON.stringify({ id: "last", mode: "stop" });
  const answer = (await (await fetch(`${rest}/v1/savepoints?wait=60s`, { method: "POST", body })).json()) as { readonly location: string };
  expect(answer).toMatchObject({ phase: "completed", failure: null });
  await command.endsWith(0);
  return answer.location;
}

test("a manifest's kind makes batches of a job; a savepoint takes it to a stream, and back by --trigger", {
  timeout: timeoutMs,
}, async () => {
  const [input, output] = [join(folder, "input"), join(folder, "output")];
  writeInput(input, parts[0] ?? []);
  const parameters = { input, output, bounded: "false" };
  const given = Object.entries(parameters).flatMap(([name, value]) => ["-p", `${name}=${value}`]);
  const storage = (name: string): string => `file://${folder}/${name}`;
  const flags = ["--port", "0", "--log", "json"];

  const spec = { job: { module, parameters }, trigger: { interval: "100 ms" }, input: { maxRecordsPerBatch: 700 }, parallelism: 2 };
  const manifest = manifestOf("counts", { ...spec, checkpoints: { storage: storage("batches") } });
  const batches = new Command(["run", "-f", manifest, ...flags]);
  const rest = String((await batches.logged("query running"))["rest"]);
  await batches.logged("batch committed");
  addInput(input, 1, parts[1] ?? []);
  await expect.poll(() => seenCounts(output).length, { timeout: 60_000 }).toBeGreaterThan(70);
  expect(await (await fetch(`${rest}/v1/query`)).json()).toMatchObject({ name: "counts", state: "running", triggerMs: 100 });
  const metrics = await (await fetch(`${rest}/metrics`)).text();
  expect(metrics).toMatch(/millrace_batch_input_rows_total\{source="readings",job_name="counts"\} [1-9]/);
  const out = await savepoint(batches, rest);

  const before = seenCounts(output).length;
  addInput(input, 2, parts[2] ?? []);
  const stream = new Command(["run", module, ...given, "--storage", storage("stream"), "--from-savepoint", out, ...flags]);
  const streamRest = String((await stream.logged("job starting"))["rest"]);
  await expect.poll(() => seenCounts(output).length, { timeout: 60_000 }).toBeGreaterThan(before);
  const back = await savepoint(stream, streamRest);

  addInput(input, 3, [...(parts[3] ?? []), closing]);
  const last = ["--storage", storage("last"), "--from-savepoint", back, "--trigger", "available-now"];
  const rested = new Command(["run", module, ...given, ...last, ...flags]);
  expect((await rested.logged("query running"))["trigger"]).toBe("availableNow");
  await rested.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts(parts.flat()));
});

test("the operator runs, upgrades and ends it as any MicroBatchJob, between two batches", { timeout: timeoutMs }, async () => {
  const [input, output] = [join(folder, "up-input"), join(folder, "up-output")];
  writeInput(input, parts[0] ?? []);
  const write = (spec: object): string =>
    manifestOf("up-counts", { job: { module, parameters: { input, output, bounded: "false" } }, ...spec });
  const command = new Command([
    ...["up", "-f", write({ trigger: { interval: "200 ms" }, input: { maxRecordsPerBatch: 300 } })],
    ...["--folder", join(folder, "up"), "--exit-at-end"],
  ]);
  await command.said(/RunStable: /);
  write({ trigger: { interval: "200 ms" }, parallelism: 2 });
  await command.said(/Upgraded: .* from savepoint .*, nothing was processed for \d+ ms/);
  addInput(input, 1, [...(parts[1] ?? []), closing]);
  write({ trigger: { type: "available-now" }, parallelism: 2 });
  await command.said(/RunSucceeded: /);
  await command.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts(parts.slice(0, 2).flat()));
});

test("executors and the trigger continuous are refused with what to do", { timeout: timeoutMs }, async () => {
  const given = ["-p", `input=${folder}`, "-p", `output=${folder}/none`, "--port", "0"];
  const executors = await refused(new Command(["run", module, ...given, "--trigger", "1 s", "--executors", "2"]), "OPTION_INVALID");
  expect(executors).toMatch(/--executors: is for DataFrame queries/);
  const manifest = manifestOf("refused", {
    job: { module, parameters: { input: folder, output: `${folder}/none` } },
    trigger: { type: "continuous" },
  });
  const continuous = await refused(new Command(["run", "-f", manifest, "--port", "0"]), "OPTION_INVALID");
  expect(continuous).toMatch(/make it a StreamJob/);

  // What the driver leaves behind is what the status of the MicroBatchJob says.
  const spec = { job: { module, parameters: { input: folder, output: `${folder}/none` } }, executors: { max: 2 } };
  const left = join(folder, "left.json");
  const asked = ["-f", manifestOf("with-executors", { ...spec, checkpoints: { storage: `file://${folder}/with-executors` } })];
  const driver = new Command(["driver", ...asked, "--port", "0", "--rpc-port", "0", "--termination-log", left], { MILLRACE_RUN: "1" });
  expect(await refused(driver, "OPTION_INVALID")).toMatch(/executors\.max: is for DataFrame queries/);
  const words = JSON.parse(readFileSync(left, "utf8")) as { readonly lastFailure: string; readonly failureIsFinal?: boolean };
  expect(words).toMatchObject({ run: 1, state: "failed" });
  expect(words.lastFailure).toMatch(/^OPTION_INVALID: executors\.max: is for DataFrame queries.*StreamJob/);
  expect(words.failureIsFinal).toBe(true);
});
