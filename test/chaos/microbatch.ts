// Exactly-once of micro-batches on a real Kafka and a real S3 server: two drivers, one that writes a topic and one that writes Parquet
// files, are killed again and again at random moments; what a committed reader and DuckDB see in the end must equal an independent
// computation. `node test/chaos/microbatch.ts --kills 20`, and with `--program dataflow` for a job of the dataflow API in batches.
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { random } from "../bench/bids.ts";
import { ChaosSetting, repository, say } from "./microbatch-setting.ts";
import { makeReadings } from "./readings.ts";

const { values: given } = parseArgs({
  options: {
    /** A DataFrame query (frames), or a job of the dataflow API (dataflow). */
    program: { type: "string", default: "frames" },
    records: { type: "string", default: "600000" },
    kills: { type: "string", default: "10" },
    keys: { type: "string", default: "500" },
    batch: { type: "string", default: "20000" },
    life: { type: "string", default: "2500" },
    verbose: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, kills, keys, life, seed] = [given.records, given.kills, given.keys, given.life, given.seed].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const modules: Readonly<Record<string, string>> = { frames: "microbatch-job.ts", dataflow: "microbatch-dataflow-job.ts" };
const module = modules[given.program];
if (module === undefined) throw new Error(`--program ${given.program}: give frames or dataflow`);
const setting = new ChaosSetting("mb");

interface Attempt {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly started: Promise<void>;
  readonly log: string[];
}

function attempt(manifest: string): Attempt {
  const log: string[] = [];
  const { promise: started, resolve } = Promise.withResolvers<void>();
  const child = setting.start(["run", "-f", manifest, "--port", "0", "--log", "json"], (text) => {
    log.push(text);
    if (text.includes("query running")) resolve();
  });
  return { child, exited: new Promise((done) => child.once("exit", (code) => done(code))), started, log };
}

/** Runs one driver to its end, killing it on the way. */
async function runKilled(output: string, folder: string, next: () => number): Promise<string> {
  const kind = output.startsWith("s3://") ? "files" : "topic";
  const { kafka, s3, topics } = setting;
  const parameters = { brokers: kafka.bootstrap.join(","), input: topics.input, output, endpoint: s3.endpoint, records: given.batch };
  const spec = {
    job: { module: join(repository, "test/chaos", module as string), parameters },
    trigger: { type: "available-now" },
    input: { maxRecordsPerBatch: Number(given.batch) },
    checkpoints: { storage: `${setting.folder}/${kind}`, s3: { endpoint: s3.endpoint } },
  };
  const manifest = join(folder, `${kind}.json`);
  await writeFile(manifest, JSON.stringify({ apiVersion: "millrace.dev/v1alpha1", kind: "MicroBatchJob", metadata: { name: kind }, spec }));
  let killed = 0;
  let again = 0;
  for (let attempts = 1; ; attempts++) {
    const { child, exited, started, log } = attempt(manifest);
    await Promise.race([started, exited]);
    const timer = killed < kills ? setTimeout(() => child.kill("SIGKILL"), next() * life) : undefined;
    const code = await exited;
    clearTimeout(timer);
    if (given.verbose) say(log.join(""));
    if (log.some((line) => line.includes("running the unfinished batch again"))) again++;
    if (code === 0) return `${killed} kills, ${attempts} starts, ${again} unfinished batches run again`;
    if (code !== null) {
      say(log.join(""));
      throw new Error(`the driver for ${output} failed with exit code ${code}`);
    }
    killed++;
  }
}

async function main(): Promise<boolean> {
  say(
    `micro-batches, ${given.program}: ${records.toLocaleString("en-US")} records, ${setting.partitions} partitions, ${kills} kills of each driver, seed ${seed}`,
  );
  await setting.createTopics();
  // Each batch of a dataflow closes windows, so that output is under way at most kills. A query has one event time for all partitions: there a
  // partition that is read a little ahead would make the others' readings late.
  const { block, expected } = makeReadings(records, keys, seed, given.program === "dataflow" ? 0.5 : 4);
  await setting.send(block);
  await setting.close();
  const startedMs = Date.now();
  const next = random(seed);
  const folder = await mkdtemp(join(tmpdir(), "microbatch-chaos-"));
  try {
    const outputs = [setting.topics.output, setting.parquet];
    for (const line of await Promise.all(outputs.map((output) => runKilled(output, folder, next)))) say(line);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  return setting.judge(expected);
}

await setting.conclude(seed, main);
