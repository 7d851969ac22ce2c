// `millrace run` of DataFrame programs as a process: a batch ends by itself, a stream shows its progress, stops and goes on.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, Command, jobs, refused, workFolder } from "./command.ts";
import { readings, writeInput } from "./readings.ts";

const program = "docs/examples/frames/delays.ts";
const hour = 3_600_000;
const folder = workFolder();

beforeAll(async () => {
  build();
  const flights = Array.from({ length: 100 }, (_value, i) => ({
    scheduled: i * hour,
    origin: "OPO",
    destination: "LIS",
    delay: i,
    distance: 500,
  }));
  await writeFile(join(folder, "flights.ndjson"), flights.map((row) => `${JSON.stringify(row)}\n`).join(""));
}, 120_000);

async function run(...flags: readonly string[]): Promise<{ readonly code: number | null; readonly text: string }> {
  // What an operator calls the run of its pods is nothing to a run of this command and its children.
  const command = new Command(["run", program, ...flags, "--port", "0", "--log", "json"], { MILLRACE_RUN: "no number" });
  const code = await command.ended;
  return { code, text: command.stdout + command.stderr };
}

test("a batch runs once and ends", async () => {
  const { code, text } = await run("-p", `input=${folder}/flights.ndjson`, "-p", `output=${folder}/batch`);
  expect(text).toMatch(/"inputRows":100,"outputRows":17,.*"message":"batch finished"/);
  expect(code).toBe(0);
}, 180_000);

test("a stream that takes what is there ends, and started again has nothing to do", async () => {
  const flags = [
    "-p",
    `input=${folder}/flights.ndjson`,
    "-p",
    `output=${folder}/stream`,
    "-p",
    "as=stream",
    "--storage",
    `file://${folder}/storage`,
  ];
  const first = await run(...flags);
  expect(first.text).toMatch(/"restoredFrom":"nothing".*"message":"query running"/);
  expect(first.text).toMatch(/"message":"query finished"/);
  expect(first.code).toBe(0);
  const second = await run(...flags);
  expect(second.text).toMatch(/"restoredFrom":"file:.*"message":"query running"/);
  expect(second.text).not.toMatch(/"message":"batch committed"/);
  expect(second.code).toBe(0);
}, 180_000);

test("an input that is not there is one clear error", async () => {
  const { code, text } = await run("-p", `input=${folder}/nothing.ndjson`, "-p", `output=${folder}/none`);
  expect(text).toMatch(/error FILES_PATH_MISSING/);
  expect(code).toBe(1);
}, 180_000);

test("a MicroBatchJob's manifest says the trigger; a savepoint over REST stops the query, and another folder starts from it", async () => {
  const manifest = join(folder, "counts.yaml");
  const input = writeInput(join(folder, "readings"), readings(500));
  const text = (name: string, more: string): string => `apiVersion: millrace.dev/v1alpha1
kind: MicroBatchJob
metadata: { name: batch-counts }
spec:
  job:
    module: ${join(jobs, "batch-counts.ts")}
    parameters: { input: ${input}, output: ${folder}/manifest }
    ${more}
  trigger: { type: processing-time, interval: 100 ms }
  checkpoints: { storage: "file://${folder}/${name}" }
`;
  await writeFile(manifest, text("manifest-1", ""));
  const token = join(folder, "token");
  await writeFile(token, "word");
  const flags = ["-f", manifest, "--port", "0", "--log", "json", "--token-file", token];
  const first = new Command(["run", ...flags]);
  await first.logged("batch committed");
  const rest = String((await first.logged("query running"))["rest"]);
  const authorized = { authorization: "Bearer word" };
  // The program says a second.
  expect(await (await fetch(`${rest}/v1/query`, { headers: authorized })).json()).toMatchObject({ state: "running", triggerMs: 100 });
  const ask = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${rest}/v1/savepoints?wait=60s`, { method: "POST", headers, body: JSON.stringify({ id: "last", mode: "stop" }) });
  expect((await ask({})).status).toBe(401);
  const answer = (await (await ask(authorized)).json()) as { readonly location: string };
  expect(answer).toMatchObject({ phase: "completed", failure: null });
  expect(await first.ended).toBe(0);
  await writeFile(manifest, text("manifest-2", `initialSavepoint: "${answer.location}"`));
  const second = new Command(["run", ...flags]);
  const running = await second.logged("query running");
  expect(running["restoredFrom"]).toBe(answer.location);
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
}, 180_000);

test("on executors a stream gives the same rows as in its driver alone", async () => {
  const flags = ["-p", `input=${folder}/flights.ndjson`, "-p", `output=${folder}/executors`, "-p", "as=stream", "--executors", "2"];
  const { code, text } = await run(...flags);
  expect(text).toMatch(/"message":"executor registered"/);
  expect(text).toMatch(/"message":"query finished"/);
  const rows = [...text.matchAll(/"outputRows":(\d+)/g)].reduce((all, [, count]) => all + Number(count), 0);
  // What `a stream that takes what is there` writes: the last windows stay open.
  const alone = await run(...flags.slice(0, 2), "-p", `output=${folder}/alone`, ...flags.slice(4, 6));
  const expected = [...alone.text.matchAll(/"outputRows":(\d+)/g)].reduce((all, [, count]) => all + Number(count), 0);
  expect(rows).toBe(expected);
  expect(rows).toBeGreaterThan(0);
  expect(code).toBe(0);
}, 180_000);

test("a driver whose run has no number says which variable is wrong", async () => {
  const text = await refused(new Command(["driver", "--module", program, "--port", "0"], { MILLRACE_RUN: "no number" }), "OPTION_INVALID");
  expect(text).toMatch(/MILLRACE_RUN: "no number" is not a positive whole number/);
}, 60_000);

test("an executor that cannot run the program ends the run", async () => {
  const flags = ["-p", `input=${folder}/flights.ndjson`, "-p", `output=${folder}/failed`, "-p", "as=stream"];
  const command = new Command(["run", join(jobs, "driver-only.ts"), ...flags, "--executors", "1", "--port", "0", "--log", "json"]);
  await command.endsWith(1);
  expect(command.stderr).toMatch(/error JOB_MODULE_FAILED\n.*no program for executors/);
  expect(command.stderr).toMatch(/error PROCESS_FAILED\n.*executor 0/);
}, 180_000);

test("the plan of a stream names what keeps state; a query that runs once has none", async () => {
  const parameters = ["-p", `input=${folder}/flights.ndjson`, "-p", `output=${folder}/plan`];
  const command = new Command(["plan", program, ...parameters, "-p", "as=stream"]);
  expect(await command.ended).toBe(0);
  const plan = JSON.parse(command.stdout) as { readonly nodes: readonly { readonly uid: string }[] };
  expect(plan.nodes.map(({ uid }) => uid)).toEqual(["flights", "watermark-0", "delays", "sink"]);
  const once = new Command(["plan", program, ...parameters]);
  expect(await once.ended).toBe(1);
  expect(once.stderr).toMatch(/error DATAFRAME_UNSUPPORTED/);
}, 60_000);
