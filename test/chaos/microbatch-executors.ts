// Exactly-once of micro-batches on executors, on a real Kafka and a real S3 server: for each of two sinks a driver and some executors,
// of which one is killed every few seconds, and S3 that is refused for a while. Records are sent all the time that processes are killed,
// however quick the machine. What a committed reader and DuckDB see in the end must equal an independent computation.
// `node test/chaos/microbatch-executors.ts --seconds 600 --outage 60`
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { random } from "../bench/bids.ts";
import type { ValueBlock } from "../support/produce.ts";
import { ChaosSetting, say } from "./microbatch-setting.ts";
import { makeReadings } from "./readings.ts";
import { type RefusingProxy, startRefusingProxy } from "./refusing-proxy.ts";

const { values: given } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    keys: { type: "string", default: "500" },
    batch: { type: "string", default: "20000" },
    executors: { type: "string", default: "2" },
    /** Tasks that share what a batch reads, at least; 0 for one of each slot. */
    tasks: { type: "string", default: "0" },
    /** How long records are sent and processes are killed; then the queries run to their end. */
    seconds: { type: "string", default: "600" },
    "kill-every": { type: "string", default: "5" },
    /** How long S3 is away, s: from a third of the time on. 0 for never. */
    outage: { type: "string", default: "60" },
    verbose: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, keys, executors, seconds, killEvery, outage, seed] = [
  ...[given.records, given.keys, given.executors, given.seconds, given["kill-every"], given.outage, given.seed],
].map(Number) as [number, number, number, number, number, number, number];
if (outage > seconds / 2) throw new Error(`--outage ${outage}: it must end while processes are killed; give at most half of --seconds`);
const setting = new ChaosSetting("mbx");
/** Time between two batches while records are sent. */
const interval = "500 ms";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A process that is started again whenever it ends, until one that was to be its last has ended well. */
class Kept {
  readonly name: string;
  readonly log: string[] = [];
  readonly ended: Promise<void>;
  starts = 0;
  kills = 0;
  failures = 0;
  #args: readonly string[];
  #child: ChildProcess | undefined;
  #isStopped = false;
  #isLast = false;
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
    const isLast = this.#isLast;
    const child = setting.start(this.#args, (text) => {
      this.log.push(text);
      if (given.verbose) process.stderr.write(text.replaceAll(/^(?=.)/gm, `${this.name}: `));
    });
    this.#child = child;
    child.once("exit", (code) => {
      this.#child = undefined;
      if ((code === 0 && isLast) || this.#isStopped) return this.#end();
      if (code !== null && code !== 0) this.failures++;
      // As who restarts failed processes does: not at once when they fail by themselves.
      setTimeout(() => (this.#isStopped ? this.#end() : this.#start()), code === null || code === 0 ? 100 : 2000);
    });
  }

  kill(): void {
    if (this.#child === undefined) return;
    this.kills++;
    this.#child.kill("SIGKILL");
  }

  /** From its next start on it has these arguments, and has ended when it ends well. */
  finish(args: readonly string[]): void {
    this.#args = args;
    this.#isLast = true;
    this.#child?.kill("SIGTERM");
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#child === undefined) return;
    this.#child.kill("SIGTERM");
    await this.ended;
  }
}

interface Query {
  readonly driver: Kept;
  readonly executors: readonly Kept[];
  /** Lets the driver take what is there by now, and end. */
  finish(): void;
}

async function start(output: string, endpoint: string): Promise<Query> {
  const kind = output.startsWith("s3://") ? "files" : "topic";
  const { kafka, topics, folder } = setting;
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
    ...["--storage", `${folder}/${kind}`, "--s3-endpoint", endpoint],
    ...["--parallelism", "4", "--run", "1", "--port", "0", "--log", "json"],
  ];
  const rpc = await freePort();
  const driving = ["driver", "--rpc-port", String(rpc), ...shared];
  const driver = new Kept(`${kind} driver`, [...driving, "--param", `interval=${interval}`]);
  return {
    driver,
    executors: Array.from(
      { length: executors },
      (_value, number) =>
        new Kept(`${kind} executor ${number}`, ["executor", "--driver", `127.0.0.1:${rpc}`, "--exchange-port", "0", ...shared]),
    ),
    finish: () => driver.finish(driving),
  };
}

/** Sends the block evenly over the seconds. */
async function feed(block: ValueBlock, startedMs: number): Promise<void> {
  const count = block.starts.length;
  for (let sent = 0; sent < count; ) {
    await sleep(500);
    const due = Math.min(count, Math.floor((count * (Date.now() - startedMs)) / (seconds * 1000)));
    if (due > sent) await setting.send({ ...block, starts: block.starts.subarray(sent, due), ends: block.ends.subarray(sent, due) });
    sent = due;
  }
}

/** Refuses S3 in the midst of the time; how long, ms. */
async function refuse(proxy: RefusingProxy): Promise<number> {
  if (outage === 0) return 0;
  await sleep((seconds * 1000) / 3);
  const sinceMs = Date.now();
  say("S3 refuses");
  proxy.refuse(true);
  await sleep(outage * 1000);
  // A slow machine may not have asked for S3 yet: what nobody notices is no outage.
  for (let waits = 0; proxy.refusals === 0 && waits < 600; waits++) await sleep(200);
  proxy.refuse(false);
  say(`S3 answers again: ${proxy.refusals} connections were broken or refused`);
  return Date.now() - sinceMs;
}

/** Both drivers are at work: the time begins for all of them, however long processes take to start here. */
async function running(queries: readonly Query[]): Promise<void> {
  for (const { driver } of queries) {
    for (let waits = 0; !driver.log.some((line) => line.includes("query running")); waits++) {
      if (waits === 1500) throw new Error(`the ${driver.name} did not start in 5 minutes: ${driver.log.join("").slice(-4000)}`);
      await sleep(200);
    }
  }
}

async function killAll(queries: readonly Query[], untilMs: number): Promise<void> {
  const next = random(seed);
  for (;;) {
    const pauseMs = killEvery * 1000 * (0.5 + next());
    if (Date.now() + pauseMs >= untilMs) return sleep(Math.max(0, untilMs - Date.now()));
    await sleep(pauseMs);
    for (const { driver, executors: own } of queries) {
      const all = [driver, ...own];
      all[Math.floor(next() * all.length)]?.kill();
    }
  }
}

function tell({ driver, executors: own }: Query, ended: boolean): void {
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

async function main(): Promise<boolean> {
  say(
    `micro-batches on ${executors} executors: ${records.toLocaleString("en-US")} records in ${seconds} s, a kill every ${killEvery} s, S3 away for ${outage} s, seed ${seed}`,
  );
  await setting.createTopics();
  const { block, expected } = makeReadings(records, keys, seed);
  const { hostname, port } = new URL(setting.s3.endpoint);
  const proxy = await startRefusingProxy(hostname, Number(port));
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  const queries = [await start(setting.topics.output, endpoint), await start(setting.parquet, endpoint)];
  await running(queries);
  const startedMs = Date.now();
  const [, awayMs] = await Promise.all([feed(block, startedMs), refuse(proxy), killAll(queries, startedMs + seconds * 1000)]);
  await setting.close();
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s of input`);
  for (const { finish } of queries) finish();
  const drivers = Promise.all(queries.map(({ driver }) => driver.ended)).then(() => "ended" as const);
  const ended = (await Promise.race([drivers, sleep(600_000, "late" as const, { ref: false })])) === "ended";
  for (const query of queries) {
    for (const one of query.executors) await one.stop();
    tell(query, ended);
  }
  proxy.close();
  say(`${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  // Nobody who asked for S3 meanwhile: then it was not shown that its absence does no harm.
  const away = outage === 0 || (awayMs >= outage * 1000 && proxy.refusals > 0);
  if (!away) say(`the outage of S3 did not come: ${awayMs} ms, ${proxy.refusals} connections broken or refused`);
  return (await setting.judge(expected)) && ended && away;
}

await setting.conclude(seed, main);
