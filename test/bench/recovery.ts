// Suite recovery: a job under steady load is killed (SIGKILL) and started again at once; how long its output stands still, and that nothing is lost or double.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { realKafka } from "../support/real.ts";
import { runCommand } from "./kafka/our-run.ts";
import { Peers } from "./kafka/peers.ts";
import { createOutputTopic, openClient, readTopic } from "./kafka/topics.ts";
import { mix } from "./kafka/verify.ts";
import { numberField } from "./kafka/number-field.ts";
import { startProcess } from "./latency/process.ts";
import { median, printTable } from "./table.ts";

export interface RecoverySuiteOptions {
  readonly runs: number;
  readonly json: boolean;
  readonly peers: string | undefined;
}

interface Recovery {
  /** From the kill to the first output record after it. */
  readonly gapMs: number;
  readonly problem: string | undefined;
}

const [rate, seconds] = [10_000, 20];
const killAfterMs = 8000;
const patienceMs = 60_000;

export async function recoverySuite(options: RecoverySuiteOptions): Promise<boolean> {
  const bootstrap = options.peers === undefined ? realKafka().bootstrap.join(",") : (await Peers.open(options.peers)).bootstrap;
  const results: Recovery[] = [];
  for (let run = 0; run < options.runs; run++) results.push(await recoverOnce(bootstrap));
  if (options.json) process.stdout.write(`${JSON.stringify({ rate, seconds, results })}\n`);
  else {
    process.stdout.write(`recovery: ${rate} records/s, exactly-once, checkpoints each second, SIGKILL and an immediate restart\n\n`);
    const gaps = results.map((each) => each.gapMs);
    const good = results.every((each) => each.problem === undefined);
    printTable(
      ["query", "runs", "median gap ms", "most ms"],
      [good ? ["q0", String(options.runs), String(median(gaps)), String(Math.max(...gaps))] : ["q0", String(options.runs), "wrong output"]],
    );
  }
  for (const { problem } of results) if (problem !== undefined) process.stderr.write(`${problem}\n`);
  return results.every((each) => each.problem === undefined);
}

async function recoverOnce(bootstrap: string): Promise<Recovery> {
  const client = openClient(bootstrap);
  const folder = await mkdtemp(join(tmpdir(), "millrace-recovery-"));
  const [input, output] = [`recovery-in-${Date.now()}`, `recovery-out-${Date.now()}`];
  for (const topic of [input, output]) await createOutputTopic(client, topic);
  const start = (): ChildProcess => {
    const parameters = { brokers: bootstrap, in: input, out: output, unbounded: "true", delivery: "exactly-once" };
    const [program = "", ...rest] = runCommand("q0", parameters, ["--storage", `file://${folder}`, "--checkpoint-interval", "1 s"]);
    return spawn(program, rest, {
      stdio: "ignore",
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}` },
    });
  };
  let engine = start();
  try {
    const load = startProcess("load-main.ts", [bootstrap, input, String(rate), String(seconds)]);
    await new Promise((resolve) => setTimeout(resolve, killAfterMs));
    const killedMs = Date.now();
    engine.kill("SIGKILL");
    engine = start();
    await load.last;
    const expected = await sumsOf(client, input, 0);
    const startedMs = Date.now();
    for (;;) {
      const seen = await sumsOf(client, output, killedMs);
      const complete = seen.rows === expected.rows && seen.hash === expected.hash;
      if (complete || Date.now() - startedMs > patienceMs) {
        const problem = complete ? undefined : `the output has ${seen.rows} rows, the input ${expected.rows}`;
        return { gapMs: seen.firstAfterMs - killedMs, problem };
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  } finally {
    engine.kill("SIGKILL");
    await client.deleteTopics([input, output]).catch(() => undefined);
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Committed rows of a topic, a hash of them, and when the first one after `afterMs` was appended. */
async function sumsOf(
  client: Parameters<typeof readTopic>[0],
  topic: string,
  afterMs: number,
): Promise<{ rows: number; hash: number; firstAfterMs: number }> {
  const [auction, bidder, price] = ['"auction":', '"bidder":', '"price":'].map((key) => Buffer.from(key)) as [Buffer, Buffer, Buffer];
  const sums = { rows: 0, hash: 0, firstAfterMs: Number.POSITIVE_INFINITY };
  const read = (bytes: Buffer, start: number, end: number, timestampMs: number): void => {
    const numbers = [auction, bidder, price].map((key) => numberField(bytes, start, end, key));
    sums.rows++;
    sums.hash = (sums.hash + mix(...numbers)) >>> 0;
    if (timestampMs > afterMs) sums.firstAfterMs = Math.min(sums.firstAfterMs, timestampMs);
  };
  await readTopic(client, topic, read, "read_committed");
  return sums;
}
