// `millrace run --task-managers`: the job in child processes, exact, stopped by a signal, and going on when one of them is killed.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, type Command, jobs, run, workFolder } from "./command.ts";
import { expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const lists = [readings(3000), readings(3000, 7), readings(3000, 11)];
const all = lists.flat();
const timeoutMs = 240_000;
let input: string;

beforeAll(() => {
  build();
  input = writeInput(join(folder, "input"), ...lists);
}, timeoutMs);

function start(output: string, rate: string): Command {
  const args = [join(jobs, "counts.ts"), "--task-managers", "2", "--slots", "2", "--checkpoint-interval", "300 ms"];
  return run(args, { input, output, rate });
}

test("two TaskManagers write every window once, and all processes end with the job", { timeout: timeoutMs }, async () => {
  const output = join(folder, "plain");
  const command = start(output, "0");
  await command.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts(all));
  expect(command.log().find((line) => line.message === "region running")).toMatchObject({ attempt: 1 });
  expect(command.log().at(-1)).toMatchObject({ message: "job finished" });
});

test("a TaskManager that is killed comes back, and still every window is written once", { timeout: timeoutMs }, async () => {
  const output = join(folder, "killed");
  const command = start(output, "300");
  await command.logged("region running");
  const victims = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("taskmanager") && line.includes(output));
  expect(victims).toHaveLength(2);
  process.kill(Number(victims[0]?.trim().split(" ")[0]), "SIGKILL");
  await command.logged("process killed, starting it again");
  await command.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts(all));
});

test("SIGTERM ends the job with a last checkpoint and exit code 0", { timeout: timeoutMs }, async () => {
  const command = start(join(folder, "stopped"), "200");
  await command.logged("region running");
  command.kill("SIGTERM");
  await command.endsWith(0);
  expect(command.log().at(-1)).toMatchObject({ message: "job stopped" });
});
