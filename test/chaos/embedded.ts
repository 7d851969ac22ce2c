// The word-count service of the examples on a real Kafka, in several processes of which one is killed every few seconds: what a committed
// reader sees must equal an independent count, each count once. `node test/chaos/embedded.ts --records 2000000 --minutes 10`
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { QueryClient } from "../../runtime/src/drivers/embedded/queries/query-client.ts";
import { random } from "../bench/bids.ts";
import { consumeCommitted } from "../support/consume.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka } from "../support/real.ts";
import { OwnChildren } from "./own-children.ts";

const { values: given } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    processes: { type: "string", default: "3" },
    partitions: { type: "string", default: "12" },
    /** For so long records come and processes die. */
    seconds: { type: "string", default: "600" },
    words: { type: "string", default: "20000" },
    /** Processes keep copies of their state on disk. */
    disk: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, processes, partitions, seconds, words, seed] = [
  given.records,
  given.processes,
  given.partitions,
  given.seconds,
  given.words,
  given.seed,
].map(Number) as [number, number, number, number, number, number];
const root = fileURLToPath(new URL("../..", import.meta.url));
const applicationId = `words-${randomBytes(4).toString("hex")}`;
const topics = { input: `${applicationId}-lines`, output: `${applicationId}-counts` };
const kafka = realKafka();
const client = new WireKafkaClient(clientOptions({ bootstrapServers: kafka.bootstrap }));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const folder = given.disk ? await mkdtemp(join(tmpdir(), "embedded-chaos-")) : undefined;
const figures = { kills: 0, assignments: 0, tasksOpened: 0, restoredRecords: 0, restoredBytes: 0, failures: 0 };
const expected = new Map<string, number>();

const children = new OwnChildren();

class Service {
  readonly name: string;
  child: ChildProcess | undefined;
  /** Where the last one of its processes answers. */
  url: string | undefined;
  exited: Promise<void> = Promise.resolve();

  constructor(name: string) {
    this.name = name;
  }

  start(): void {
    const env = {
      ...process.env,
      BROKERS: kafka.bootstrap.join(","),
      APPLICATION_ID: applicationId,
      INPUT: topics.input,
      OUTPUT: topics.output,
      INSTANCE_ID: this.name,
      ...(folder === undefined ? {} : { STATE_DIRECTORY: join(folder, this.name) }),
      PORT: "0",
    };
    const program = "docs/examples/word-count/service.ts";
    const child = children.add(spawn(process.execPath, [program], { cwd: root, stdio: ["ignore", "pipe", "inherit"], env }));
    this.child = child;
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line);
    });
    this.exited = new Promise((resolve) => child.once("exit", () => resolve()));
  }

  #read(line: string): void {
    if (given.verbose) say(`${this.name} ${line}`);
    const entry = JSON.parse(line) as { level: string; message: string; restoredRecords?: number; restoredBytes?: number; url?: string };
    if (entry.message === "listens") this.url = entry.url;
    else if (entry.message === "assignment received") figures.assignments++;
    else if (entry.message === "task runs") {
      figures.tasksOpened++;
      figures.restoredRecords += entry.restoredRecords ?? 0;
      figures.restoredBytes += entry.restoredBytes ?? 0;
    } else if (entry.level === "error") {
      figures.failures++;
      say(`${this.name} ${line}`);
    }
  }

  async kill(): Promise<void> {
    this.child?.kill("SIGKILL");
    await this.exited;
    figures.kills++;
  }
}

const services = Array.from({ length: processes }, (_, index) => new Service(`pod-${index}`));

function lines(count: number, next: () => number): ValueBlock {
  const bytes = Buffer.allocUnsafeSlow(count * 80);
  const starts = new Int32Array(count);
  const ends = new Int32Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const said = Array.from({ length: 3 }, () => `w${Math.floor(next() * next() * words)}`);
    for (const word of said) expected.set(word, (expected.get(word) ?? 0) + 1);
    starts[i] = at;
    at += bytes.write(`{"text":"${said.join(" ")}"}`, at, "latin1");
    ends[i] = at;
  }
  return { bytes: bytes.subarray(0, at), starts, ends };
}

async function main(): Promise<boolean> {
  say(
    `embedded: ${records.toLocaleString("en-US")} records in ${seconds} s, ${partitions} partitions, ${processes} processes, seed ${seed}`,
  );
  await client.createTopics(
    Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } })),
  );
  const next = random(seed);
  for (const service of services) service.start();
  const endsAtMs = Date.now() + seconds * 1000;
  const killing = killAgainAndAgain(endsAtMs, next);
  const bursts = Math.max(1, Math.floor(seconds * 2));
  const fromMs = Date.now();
  for (let burst = 0; burst < bursts; burst++) {
    const many = Math.floor((records * (burst + 1)) / bursts) - Math.floor((records * burst) / bursts);
    await produceBlock(client, topics.input, partitions, lines(many, next));
    await sleep(Math.max(0, fromMs + ((burst + 1) * seconds * 1000) / bursts - Date.now()));
  }
  await killing;
  const behindMs = await caughtUp();
  say(
    `${figures.kills} kills, ${figures.assignments} assignments, ${figures.tasksOpened} tasks opened, ` +
      `${figures.restoredRecords} records (${(figures.restoredBytes / 2 ** 20).toFixed(1)} MiB) restored; caught up ${(behindMs / 1000).toFixed(1)} s after the end`,
  );
  const stored = await storeContents();
  for (const { child } of services) child?.kill("SIGTERM");
  await Promise.all(services.map((service) => service.exited));
  const wrong = [...expected].filter(([word, times]) => stored.get(word) !== times);
  say(`${stored.size} words in the stores, asked of all processes: ${wrong.length} wrong`);
  return (await check()) && wrong.length === 0 && stored.size === expected.size;
}

// Every few seconds one process dies; most come back at once, some only after the group has given their tasks to others.
async function killAgainAndAgain(endsAtMs: number, next: () => number): Promise<void> {
  while (Date.now() < endsAtMs) {
    await sleep(1500 + next() * 3500);
    const victim = services[Math.floor(next() * services.length)] as Service;
    await victim.kill();
    if (next() < 0.3) await sleep(7000);
    victim.start();
  }
}

/** Waits until the application has committed all of its input; returns how long that took, ms. */
async function caughtUp(): Promise<number> {
  const fromMs = Date.now();
  const topicsRead = [topics.input, `${applicationId}-count-repartition`];
  for (;;) {
    let behind = 0;
    for (const topic of topicsRead) {
      const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, at: "latest" as const }));
      const ends = await client.listOffsets(all, "read_committed");
      const committed = new Map(
        (await client.groupOffsets(applicationId, all)).map((each) => [`${each.topic}/${each.partition}`, each.offset]),
      );
      // The marker of the last transaction stands behind the last record.
      for (const end of ends)
        behind += Math.max(0, end.offset - (committed.get(`${end.topic}/${end.partition}`) ?? 0) - (topic === topics.input ? 0 : 1));
    }
    if (behind === 0) return Date.now() - fromMs;
    if (Date.now() - fromMs > 300_000) throw new Error(`${behind} records are still not processed after five minutes`);
    await sleep(500);
  }
}

/** What the application's stores hold at the end, by interactive queries: words by their beginnings, so that no answer is cut off. */
async function storeContents(): Promise<ReadonlyMap<string, number>> {
  const urls = services.map((service) => service.url).filter((url) => url !== undefined);
  const queries = new QueryClient({ urls, timeoutMs: 60_000 });
  const contents = new Map<string, number>();
  const read = async (prefix: string): Promise<void> => {
    const { rows, complete } = await queries.query("count", { kind: "prefix", prefix, limit: 10_000 });
    // More begin alike than one answer may hold: by the next digit then, and the word that has none alone.
    if (!complete) {
      for (let digit = 0; digit < 10; digit++) await read(`${prefix}${digit}`);
      const word = await queries.store<{ word: string }, { times: number }>("count").get({ word: prefix });
      if (word !== undefined) contents.set(prefix, word.times);
      return;
    }
    for (const { key, value } of rows) contents.set((key as { word: string }).word, (value as { times: number }).times);
  };
  await read("w");
  return contents;
}

async function check(): Promise<boolean> {
  const last = new Map<string, number>();
  let notOnce = 0;
  for (const { value } of await consumeCommitted(kafka.bootstrap, topics.output)) {
    const { word, times } = JSON.parse(value) as { word: string; times: number };
    // A count that is put out again, or goes back, was put out twice.
    if (times <= (last.get(word) ?? 0)) notOnce++;
    last.set(word, times);
  }
  const wrong = [...expected].filter(([word, times]) => last.get(word) !== times);
  const open = (await client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter((each) =>
    each.transactionalId.startsWith(applicationId),
  );
  say(
    `${expected.size} words, ${last.size} seen: ${wrong.length} wrong, ${notOnce} counts not once; ${open.length} transactions left open; ${figures.failures} failures`,
  );
  for (const [word, times] of wrong.slice(0, 10)) say(`  ${word}: ${last.get(word)} in place of ${times}`);
  return wrong.length === 0 && last.size === expected.size && notOnce === 0 && open.length === 0 && figures.failures === 0;
}

try {
  const correct = await main();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
  process.exitCode = correct ? 0 : 1;
} finally {
  const internal = [`${applicationId}-count-repartition`, `${applicationId}-count-changelog`, `${applicationId}-control`];
  // What went wrong is to be looked at: the topics stay.
  if (process.exitCode === 0) await client.deleteTopics([...Object.values(topics), ...internal]);
  else say(`topics kept: ${Object.values(topics).join(", ")}`);
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  await client.close();
}
