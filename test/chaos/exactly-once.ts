// Exactly-once on a real Kafka with checkpoints on a real S3 server: the process is killed again and again at random moments, and what a
// committed reader sees in the end must equal an independent computation. `node test/chaos/exactly-once.ts --kills 20`
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { random } from "../bench/bids.ts";
import { consumeCommitted } from "../support/consume.ts";
import { produceBlock } from "../support/produce.ts";
import { realKafka, realS3 } from "../support/real.ts";
import { makeReadings } from "./readings.ts";
import { OwnChildren } from "./own-children.ts";

const { values: given } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    kills: { type: "string", default: "20" },
    keys: { type: "string", default: "2000" },
    rate: { type: "string", default: "120000" },
    verbose: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, kills, keys, seed] = [given.records, given.kills, given.keys, given.seed].map(Number) as [number, number, number, number];
const partitions = 4;
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = randomBytes(4).toString("hex");
const topics = { input: `eo-in-${run}`, output: `eo-out-${run}` };
const kafka = realKafka();
const s3 = realS3();
const client = new WireKafkaClient(clientOptions({ bootstrapServers: kafka.bootstrap }), {});
const say = (text: string): void => void process.stdout.write(`${text}\n`);

function startJob(): ChildProcess {
  const parameters = { brokers: kafka.bootstrap.join(","), ...topics, rate: given.rate };
  const args = [
    "runtime/bin/millrace.js",
    "run",
    "test/chaos/exactly-once-job.ts",
    ...Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
    ...["--storage", `s3://${s3.bucket}/exactly-once-${run}`, "--s3-endpoint", s3.endpoint],
    ...["--checkpoint-interval", "300 ms", "--parallelism", "2", "--port", "0", "--log", "json"],
  ];
  return spawn(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region },
  });
}

const children = new OwnChildren();

interface Attempt {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly started: Promise<void>;
  readonly log: string[];
}

function attempt(): Attempt {
  const child = children.add(startJob());
  const log: string[] = [];
  const started = new Promise<void>((resolve) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      log.push(text);
      if (text.includes("splits assigned")) resolve();
    });
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return { child, exited, started, log };
}

async function main(): Promise<boolean> {
  say(`exactly-once: ${records.toLocaleString("en-US")} records, ${partitions} partitions, ${kills} kills, seed ${seed}`);
  await client.createTopics(Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
  const { block, expected } = makeReadings(records, keys, seed);
  await produceBlock(client, topics.input, partitions, block);
  const next = random(seed);
  const startedMs = Date.now();
  let killed = 0;
  let attempts = 0;
  for (;;) {
    attempts++;
    const { child, exited, started, log } = attempt();
    await Promise.race([started, exited]);
    // Sometimes before the first checkpoint, sometimes in the middle of one, sometimes in a commit.
    const lifeMs = killed < kills ? 50 + next() * 1500 : Infinity;
    const timer = lifeMs === Infinity ? undefined : setTimeout(() => child.kill("SIGKILL"), lifeMs);
    const code = await exited;
    clearTimeout(timer);
    if (code === 0 && given.verbose) say(log.join(""));
    if (code === 0) break;
    if (code !== null) {
      say(log.join(""));
      throw new Error(`the job failed with exit code ${code}`);
    }
    killed++;
    if (given.verbose) say(log.join(""));
    process.stdout.write(`\r${killed} kills`);
  }
  say(`\r${killed} kills, ${attempts} starts, ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  return check(expected);
}

async function check(expected: ReadonlyMap<string, string>): Promise<boolean> {
  const seen = new Map<string, string>();
  let duplicates = 0;
  let wrong = 0;
  const places = new Map<string, string>();
  const repeated: string[] = [];
  for (const { key, value, partition, offset } of await consumeCommitted(kafka.bootstrap, topics.output)) {
    const row = JSON.parse(value) as { key: string; windowStart: number; n: number; least: number; greatest: number; total: number };
    const id = `${row.key} ${row.windowStart}`;
    if (seen.has(id)) {
      duplicates++;
      if (repeated.length < 20) repeated.push(`${id}: ${places.get(id)} and ${partition}/${offset}`);
    }
    places.set(id, `${partition}/${offset}`);
    seen.set(id, `${row.n} ${row.least} ${row.greatest} ${row.total}`);
    if (seen.get(id) !== expected.get(id) || key === undefined) wrong++;
  }
  const missing = [...expected.keys()].filter((id) => !seen.has(id)).length;
  const hanging = (await client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter(({ transactionalId }) =>
    transactionalId.includes("exactly-once"),
  );
  say(
    `expected ${expected.size} rows, seen ${seen.size}: ${missing} missing, ${duplicates} duplicate, ${wrong} wrong; ${hanging.length} transactions left open`,
  );
  for (const line of repeated) say(line);
  return missing === 0 && duplicates === 0 && wrong === 0 && hanging.length === 0;
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
