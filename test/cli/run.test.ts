// `millrace run` as a process: exact output of a bounded job, after kills at any moment, and after an orderly stop.
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { Random, runSeed } from "../reference/random.ts";
import { build, jobs, run, workFolder } from "./command.ts";
import { expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
// A process takes seconds to start on a busy machine.
const timeoutMs = 240_000;
const lists = [readings(5000), readings(5000, 7)];
const expected = expectedCounts(lists.flat());
const job = join(jobs, "counts.ts");
let input: string;

beforeAll(() => {
  build();
  input = writeInput(join(folder, "input"), ...lists);
}, timeoutMs);

test("a bounded job ends with exit code 0 and writes every window once", { timeout: timeoutMs }, async () => {
  const output = join(folder, "plain");
  const command = run([job, "--parallelism", "2"], { input, output });
  await command.endsWith(0);
  expect(command.log().at(-1)).toMatchObject({ message: "job finished", records: 10_000 });
  expect(seenCounts(output)).toEqual(expected);
});

test("killed at random moments, the job still writes every window once", { timeout: timeoutMs }, async () => {
  const output = join(folder, "killed");
  const start = (rate: string): ReturnType<typeof run> =>
    run([job, "--storage", `file://${folder}/snapshots-killed`, "--checkpoint-interval", "100 ms"], { input, output, rate });
  const random = new Random(runSeed());
  const livesMs: number[] = [];
  for (let kills = 0; kills < 3; kills++) {
    // Slow enough that it does not end by itself when the kill comes late.
    const command = start("700");
    await command.logged("splits assigned");
    const lifeMs = random.int(200, 800);
    livesMs.push(lifeMs);
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    command.kill("SIGKILL");
    await command.endsWith(null);
  }
  await start("0").endsWith(0);
  expect(seenCounts(output), `lives of ${livesMs.join(", ")} ms`).toEqual(expected);
});

test("SIGTERM ends the job with a last checkpoint, and the next start goes on from it", { timeout: timeoutMs }, async () => {
  const output = join(folder, "stopped");
  const storage = ["--storage", `file://${folder}/snapshots-stopped`, "--checkpoint-interval", "1 h"];
  const first = run([job, ...storage], { input, output, rate: "500" });
  const rest = await first.rest();
  // Something must have been read, so that there is something to go on from.
  for (let rows = 0; rows === 0; ) {
    const { processing: status } = (await (await fetch(`${rest}/v1/job`)).json()) as {
      processing: { operators: { subtasks: { rowsIn: number }[] }[] } | null;
    };
    rows = status?.operators[0]?.subtasks[0]?.rowsIn ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  first.kill("SIGTERM");
  await first.endsWith(0);
  const stopped = first.log().at(-1);
  expect(stopped).toMatchObject({ message: "job stopped", checkpoint: `file://${folder}/snapshots-stopped/counts/chk-1` });
  const second = run([job, ...storage], { input, output });
  await second.endsWith(0);
  const finished = second.log().at(-1);
  expect(Number(stopped?.["records"])).toBeGreaterThan(0);
  expect(Number(stopped?.["records"]) + Number(finished?.["records"])).toBe(10_000);
  expect(seenCounts(output)).toEqual(expected);
});
