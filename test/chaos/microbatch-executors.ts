// Exactly-once of micro-batches on executors, on a real Kafka and a real S3 server: for each of two sinks a driver and some executors,
// of which one is killed every few seconds, and S3 that is refused for a while. What a committed reader and DuckDB see in the end must
// equal an independent computation. `node test/chaos/microbatch-executors.ts --seconds 600 --outage 60`
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
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
import { startRefusingProxy } from "./refusing-proxy.ts";

const { values: given } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    keys: { type: "string", default: "500" },
    batch: { type: "string", default: "20000" },
    executors: { type: "string", default: "2" },
    /** Tasks that share what a batch reads, at least; 0 for one of each slot. */
    tasks: { type: "string", default: "0" },
    /** How long processes are killed; then the queries run to their end. */
    seconds: { type: "string", default: "600" },
    "kill-every": { type: "string", default: "5" },
    outage: { type: "string", default: "60" },
    verbose: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, keys, executors, seconds, killEvery, outage, seed] = [
  ...[given.records, given.keys, given.executors, given.seconds, given["kill-every"], given.outage, given.seed],
].map(Number) as [number, number, number, number, number, number, number];
const partitions = 4;
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = randomBytes(4).toString("hex");
const topics = { input: `mbx-in-${run}`, output: `mbx-out-${run}` };
const kafka = realKafka();
const s3 = realS3();
const parquet = `s3://${s3.bucket}/microbatch-${run}/out`;
const client = new WireKafkaClient(clientOptions({ bootstrapServers: kafka.bootstrap }), {});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A process that is started again whenever it ends, until it has ended well. */
class Kept {
  readonly #args: readonly string[];
  readonly name: string;
  readonly log: string[] = [];
  readonly ended: Promise<void>;
  starts = 0;
  kills = 0;
  failures = 0;
  #child: ChildProcess | undefined;
  #isStopped = false;
  #end: () => void = () => {};

  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#args = args;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#start();
  }

  #start(): void {
    this.starts++;
    const child = spawn(process.execPath, ["runtime/bin/millrace.js", ...this.#args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region },
    });
    this.#child = child;
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.log.push(text);
        if (given.verbose) process.stderr.write(text.replaceAll(/^(?=.)/gm, `${this.name}: `));
      });
    }
    child.once("exit", (code) => {
      children.delete(child);
      this.#child = undefined;
      if (code === 0 || this.#isStopped) return this.#end();
      if (code !== null) this.failures++;
      // As who restarts failed processes does: not at once when they fail by themselves.
      setTimeout(() => (this.#isStopped ? this.#end() : this.#start()), code === null ? 100 : 2000);
    });
  }

  kill(): void {
    if (this.#child === undefined) return;
    this.kills++;
    this.#child.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#child === undefined) return;
    this.#child.kill("SIGTERM");
    await this.ended;
  }
}

async function start(output: string, endpoint: string): Promise<{ readonly driver: Kept; readonly executors: readonly Kept[] }> {
  const isFiles = output.startsWith("s3://");
  const kind = isFiles ? "files" : "topic";
  const parameters = {
    brokers: kafka.bootstrap.join(","),
    input: topics.input,
    output,
    endpoint,
    records: given.batch,
    tasks: given.tasks,
  };
  const shared = [
    ...["--module", "test/chaos/microbatch-job.ts"],
    ...Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
    ...["--storage", `s3://${s3.bucket}/microbatch-${run}/${kind}`, "--s3-endpoint", endpoint],
    ...["--parallelism", "4", "--run", "1", "--port", "0", "--log", "json"],
  ];
  const rpc = await freePort();
  return {
    driver: new Kept(`${kind} driver`, ["driver", "--rpc-port", String(rpc), ...shared]),
    executors: Array.from(
      { length: executors },
      (_value, number) =>
        new Kept(`${kind} executor ${number}`, ["executor", "--driver", `127.0.0.1:${rpc}`, "--exchange-port", "0", ...shared]),
    ),
  };
}

async function main(): Promise<boolean> {
  say(
    `micro-batches on ${executors} executors: ${records.toLocaleString("en-US")} records, a kill every ${killEvery} s, S3 away for ${outage} s, seed ${seed}`,
  );
  await client.createTopics(Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
  await sleep(2000);
  const { block, expected } = makeReadings(records, keys, seed);
  await produceBlock(client, topics.input, partitions, block);
  const last = Buffer.from('{"key":"end","value":0,"at":1800000000000}');
  await produceBlock(client, topics.input, partitions, { bytes: last, starts: Int32Array.of(0), ends: Int32Array.of(last.length) });
  const { hostname, port } = new URL(s3.endpoint);
  const proxy = await startRefusingProxy(hostname, Number(port));
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  const jobs = [await start(topics.output, endpoint), await start(parquet, endpoint)];
  const startedMs = Date.now();
  const drivers = Promise.all(jobs.map(({ driver }) => driver.ended)).then(() => "ended" as const);
  const next = random(seed);
  const until = startedMs + seconds * 1000;
  let outageAtMs = outage > 0 ? startedMs + (seconds * 1000) / 3 : Infinity;
  let outageEndMs = Infinity;
  let over = false;
  while (!over && Date.now() < until) {
    over = (await Promise.race([drivers, sleep(killEvery * 1000 * (0.5 + next()))])) === "ended";
    if (over) break;
    if (Date.now() > outageAtMs) {
      say("S3 refuses");
      proxy.refuse(true);
      outageEndMs = Date.now() + outage * 1000;
      outageAtMs = Infinity;
    }
    if (Date.now() > outageEndMs) {
      say("S3 answers again");
      proxy.refuse(false);
      outageEndMs = Infinity;
    }
    for (const { driver, executors: own } of jobs) {
      const all = [driver, ...own];
      all[Math.floor(next() * all.length)]?.kill();
    }
  }
  proxy.refuse(false);
  const limit = sleep(600_000, "late" as const, { ref: false });
  const ended = (await Promise.race([drivers, limit])) === "ended";
  for (const { driver, executors: own } of jobs) {
    for (const one of own) await one.stop();
    const kills = own.reduce((sum, one) => sum + one.kills, 0);
    const failures = [driver, ...own].reduce((sum, one) => sum + one.failures, 0);
    const text = driver.log.join("");
    const count = (what: string): number => text.split(what).length - 1;
    say(
      `${driver.name}: killed ${driver.kills} times, its executors ${kills} times, ${failures} failures, ${count("batch committed")} batches, ` +
        `${count("running the unfinished batch again")} run again, ${count("task started again")} tasks started again, ${count("reading records again")} outputs made again`,
    );
    if (!ended) say(text.slice(-4000));
  }
  proxy.close();
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  const topic = compareResults("topic", await readTopic(kafka.bootstrap, topics.output), expected);
  const files = compareResults("files", await readFiles(parquet, s3), expected);
  const hanging = (await client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter(({ transactionalId }) =>
    transactionalId.includes("microbatch-chaos"),
  );
  say(`${hanging.length} transactions left open`);
  return ended && topic && files && hanging.length === 0;
}

try {
  const correct = await main();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
  process.exitCode = correct ? 0 : 1;
} finally {
  if (process.exitCode === 0) await client.deleteTopics(Object.values(topics));
  else say(`topics kept: ${Object.values(topics).join(", ")}`);
  await client.close();
}
