// `millrace run` of DataFrame programs as a process: a batch ends by itself, a stream shows its progress, stops and goes on.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, Command, workFolder } from "./command.ts";

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
  const command = new Command(["run", program, ...flags, "--port", "0", "--log", "json"]);
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
  const manifest = join(folder, "delays.yaml");
  const text = (name: string, more: string): string => `apiVersion: millrace.dev/v1alpha1
kind: MicroBatchJob
metadata: { name: delays }
spec:
  job:
    module: ${join(process.cwd(), program)}
    parameters: { input: ${folder}/flights.ndjson, output: ${folder}/manifest, as: stream }
    ${more}
  trigger: { type: processing-time, interval: 100 ms }
  checkpoints: { storage: "file://${folder}/${name}" }
`;
  await writeFile(manifest, text("manifest-1", ""));
  const token = join(folder, "token");
  await writeFile(token, "word");
  const flags = ["-f", manifest, "--port", "0", "--log", "json", "--token-file", token];
  const first = new Command(["run", ...flags]);
  // The file has an end, but the manifest's trigger goes on.
  await first.logged("batch committed");
  const rest = String((await first.logged("query running"))["rest"]);
  const ask = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${rest}/v1/savepoints?wait=60s`, { method: "POST", headers, body: JSON.stringify({ id: "last", mode: "stop" }) });
  expect((await ask({})).status).toBe(401);
  const answer = (await (await ask({ authorization: "Bearer word" })).json()) as { readonly phase: string; readonly location: string };
  expect(answer.phase).toBe("completed");
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
