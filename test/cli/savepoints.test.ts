// Savepoints by the command: taken over REST from a running job, looked into, restored, and refused when they do not fit.
import { cpSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Command, build, jobs, refused, run, workFolder } from "./command.ts";
import { expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
// A process takes seconds to start on a busy machine.
const timeoutMs = 240_000;
const lists = [readings(3000), readings(3000, 7)];
const all = lists.flat();
const job = join(jobs, "counts.ts");
const place = join(folder, "snapshots");
const savepoint = (id: string): string => `file://${place}/counts/savepoints/${id}`;
const output = join(folder, "output");
let input: string;

interface Answer {
  readonly status: number;
  readonly body: {
    readonly id?: number;
    readonly code?: string;
    readonly message?: string;
    readonly location?: string;
    readonly phase?: string;
  };
}

async function ask(rest: string, id: unknown, mode?: string): Promise<Answer> {
  const body = id === undefined ? "no json" : JSON.stringify({ id, mode });
  const response = await fetch(`${rest}/v1/savepoints?wait=60s`, { method: "POST", body });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

/** Waits until the job has read so many records; gives the address of its REST API, which answers before that. */
async function running(command: Command, records = 1): Promise<string> {
  await command.logged("splits assigned");
  const rest = await command.rest();
  for (;;) {
    const { processing: status } = (await (await fetch(`${rest}/v1/job`)).json()) as {
      processing: { operators: { subtasks: { rowsIn: number }[] }[] } | null;
    };
    if ((status?.operators[0]?.subtasks[0]?.rowsIn ?? 0) >= records) return rest;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeAll(async () => {
  build();
  input = writeInput(join(folder, "input"), ...lists);
  const command = run([job, "--storage", `file://${place}`, "--checkpoint-interval", "200 ms"], { input, output, rate: "200" });
  // So many that windows are complete, and few enough that half a minute is left.
  const rest = await running(command, 600);
  // The REST API of a running job.
  expect((await fetch(`${rest}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${rest}/metrics`)).text()).toContain('job_name="counts"');
  expect(await (await fetch(`${rest}/v1/job`)).json()).toMatchObject({ name: "counts", state: "running", restarts: 0, lastFailure: null });
  expect((await fetch(`${rest}/v1/nothing`)).status).toBe(404);
  for (const [id, mode] of [[undefined], [7], ["../up"], ["a", "explode"]] as const)
    expect(await ask(rest, id, mode)).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
  expect(await ask(rest, "kept")).toMatchObject({ status: 200, body: { phase: "completed", location: savepoint("kept") } });
  // Asked again, as after a lost answer: the same place, and the job goes on.
  expect(await ask(rest, "kept")).toMatchObject({ status: 200, body: { location: savepoint("kept") } });
  const { checkpoints } = (await (await fetch(`${rest}/v1/checkpoints`)).json()) as {
    checkpoints: { phase: string; savepointId?: string }[];
  };
  expect(checkpoints.filter(({ phase, savepointId }) => phase === "completed" && savepointId === "kept").length).toBeGreaterThan(0);
  expect(await ask(rest, "stopped", "stop")).toMatchObject({ status: 200, body: { phase: "completed", location: savepoint("stopped") } });
  await command.endsWith(0);
  expect(command.log().at(-1)).toMatchObject({ message: "job stopped", checkpoint: savepoint("stopped") });
}, timeoutMs);

test("what ran before a savepoint with stop and what runs from it are together exact", { timeout: timeoutMs }, async () => {
  const from = join(folder, "output-copy");
  cpSync(output, from, { recursive: true });
  expect(seenCounts(from).length).toBeGreaterThan(0);
  const second = run([job, "--from-savepoint", savepoint("stopped")], { input, output: from });
  await second.endsWith(0);
  expect(Number(second.log().at(-1)?.["records"])).toBeLessThan(all.length);
  expect(seenCounts(from)).toEqual(expectedCounts(all));
});

test("drain flushes the windows and ends the job", { timeout: timeoutMs }, async () => {
  const drained = join(folder, "drained");
  const command = run([job, "--storage", `file://${folder}/drain`], { input, output: drained, rate: "100", bounded: "false" });
  expect(await ask(await running(command), "end", "drain")).toMatchObject({ status: 200, body: { phase: "completed" } });
  await command.endsWith(0);
  expect(command.log().at(-1)).toMatchObject({ message: "job drained" });
  const records = Number(command.log().at(-1)?.["records"]);
  const counted = seenCounts(drained).reduce((sum, line) => sum + Number(line.split(" ")[2]), 0);
  expect(counted).toBe(records);
  expect(counted).toBeGreaterThan(0);
});

describe.concurrent("a savepoint that does not fit", { timeout: timeoutMs }, () => {
  test("a damaged data file", async () => {
    const copy = join(folder, "damaged");
    cpSync(join(place, "counts/savepoints/stopped"), copy, { recursive: true });
    const data = join(copy, readdirSync(copy).find((name) => name.startsWith("data-")) ?? "no data file");
    const bytes = readFileSync(data);
    const middle = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 0x10, middle);
    writeFileSync(data, bytes);
    const text = await refused(run([job, "--from-savepoint", copy], { input, output: join(folder, "o1") }), "SNAPSHOT_CORRUPT");
    expect(text).toContain(data);
  });

  test("state of an operator that the job does not have; it can be dropped", async () => {
    const args = [job, "--from-savepoint", savepoint("stopped")];
    const parameters = { input, output: join(folder, "o2"), uid: "renamed" };
    const text = await refused(run(args, parameters), "SAVEPOINT_UID_UNUSED");
    expect(text).toContain('"windows"');
    expect(text).toContain('"renamed"');
    await run([...args, "--allow-non-restored-state"], parameters).endsWith(0);
  });
});

test("state whose type has changed names the operator and the field", { timeout: timeoutMs }, async () => {
  const totals = join(jobs, "totals.ts");
  const storage = ["--storage", `file://${folder}/totals`];
  const first = run([totals, ...storage], { input, output: join(folder, "totals-output") });
  await running(first);
  first.kill("SIGTERM");
  await first.endsWith(0);
  const second = run([totals, ...storage], { input, output: join(folder, "totals-output"), total: "text" });
  const text = await refused(second, "STATE_SCHEMA_INCOMPATIBLE");
  expect(text).toContain("add");
  expect(text).toContain("total");
});

describe.concurrent("looking into a job and its savepoints", { timeout: timeoutMs }, () => {
  async function printed(...args: readonly string[]): Promise<string> {
    const command = new Command(args);
    await command.endsWith(0);
    return command.stdout;
  }

  test("plan, as JSON and as a flowchart", async () => {
    const parameters = ["--param", "input=in", "--param", "output=out"];
    const plan = JSON.parse(await printed("plan", job, ...parameters)) as { job: string; nodes: { uid: string; stateful: boolean }[] };
    expect([plan.job, plan.nodes.map(({ uid }) => uid)]).toEqual(["counts", ["readings", "windows", "results"]]);
    const chart = await printed("plan", job, ...parameters, "--mermaid");
    expect(chart).toMatch(/^flowchart LR\n/);
    expect(chart).toMatch(/n0 -->\|".*key"\| n1/);
  });

  test("savepoint list, inspect, read and diff", async () => {
    expect(await printed("savepoint", "list", `file://${place}`)).toContain(savepoint("kept"));
    const inspected = await printed("savepoint", "inspect", savepoint("stopped"), "--verify");
    expect(inspected).toContain("no damage");
    expect(inspected).toContain("windows");
    expect(inspected).toContain("part-0.ndjson");
    const rows = (await printed("savepoint", "read", savepoint("stopped"), "--uid", "windows", "--table", "panes"))
      .split("\n")
      .slice(0, -1);
    const keys = rows.map((row) => (JSON.parse(row) as { key: { key: string } }).key.key);
    expect(new Set(keys).size).toBeGreaterThan(0);
    expect(await printed("savepoint", "diff", savepoint("kept"), savepoint("stopped"))).toContain("part-0.ndjson");
  });
});
