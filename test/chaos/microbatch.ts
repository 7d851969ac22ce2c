// Exactly-once of micro-batches on a real Kafka and a real S3 server: two drivers, one that writes a topic and one that writes Parquet
// files, are killed again and again at random moments; what a committed reader and DuckDB see in the end must equal an independent
// computation. `node test/chaos/microbatch.ts --kills 20`
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { random } from "../bench/bids.ts";
import { produceBlock } from "../support/produce.ts";
import { realKafka, realS3 } from "../support/real.ts";
import { compareResults, readFiles, readTopic } from "./microbatch-results.ts";
import { makeReadings } from "./readings.ts";

const { values: given } = parseArgs({
  options: {
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
const partitions = 4;
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = randomBytes(4).toString("hex");
const topics = { input: `mb-in-${run}`, output: `mb-out-${run}` };
const kafka = realKafka();
const s3 = realS3();
const parquet = `s3://${s3.bucket}/microbatch-${run}/out`;
const client = new WireKafkaClient(clientOptions({ bootstrapServers: kafka.bootstrap }), {});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

interface Attempt {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly started: Promise<void>;
  readonly log: string[];
}

function attempt(output: string): Attempt {
  const parameters = { brokers: kafka.bootstrap.join(","), input: topics.input, output, endpoint: s3.endpoint, records: given.batch };
  const args = [
    "runtime/bin/millrace.js",
    "run",
    "test/chaos/microbatch-job.ts",
    ...Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
    ...["--storage", `s3://${s3.bucket}/microbatch-${run}/${output.startsWith("s3://") ? "files" : "topic"}`],
    ...["--s3-endpoint", s3.endpoint, "--port", "0", "--log", "json"],
  ];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region },
  });
  children.add(child);
  const log: string[] = [];
  const started = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        log.push(text);
        if (text.includes("query running")) resolve();
      });
    }
  });
  const exited = new Promise<number | null>((resolve) =>
    child.once("exit", (code) => {
      children.delete(child);
      resolve(code);
    }),
  );
  return { child, exited, started, log };
}

/** Runs one driver to its end, killing it on the way. */
async function runKilled(output: string, next: () => number): Promise<string> {
  let killed = 0;
  let again = 0;
  for (let attempts = 1; ; attempts++) {
    const { child, exited, started, log } = attempt(output);
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
  say(`micro-batches: ${records.toLocaleString("en-US")} records, ${partitions} partitions, ${kills} kills of each driver, seed ${seed}`);
  await client.createTopics(Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
  // The brokers answer for a new topic before they lead it.
  await sleep(2000);
  const { block, expected } = makeReadings(records, keys, seed);
  await produceBlock(client, topics.input, partitions, block);
  // What closes the last windows.
  const last = Buffer.from('{"key":"end","value":0,"at":1800000000000}');
  await produceBlock(client, topics.input, partitions, { bytes: last, starts: Int32Array.of(0), ends: Int32Array.of(last.length) });
  const startedMs = Date.now();
  const next = random(seed);
  const told = await Promise.all([runKilled(topics.output, next), runKilled(parquet, next)]);
  for (const line of told) say(line);
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  const topic = compareResults("topic", await readTopic(kafka.bootstrap, topics.output), expected);
  const files = compareResults("files", await readFiles(parquet, s3), expected);
  const hanging = (await client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter(({ transactionalId }) =>
    transactionalId.includes("microbatch-chaos"),
  );
  say(`${hanging.length} transactions left open`);
  return topic && files && hanging.length === 0;
}

try {
  const correct = await main();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
  process.exitCode = correct ? 0 : 1;
} finally {
  // What went wrong is to be looked at: the topics stay.
  if (process.exitCode === 0) await client.deleteTopics(Object.values(topics));
  else say(`topics kept: ${Object.values(topics).join(", ")}`);
  await client.close();
}
