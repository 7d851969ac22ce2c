// A rolling restart of an embedded application: three processes with names end in order and come back, one after the other, while records come.
// Names are static members, so nobody else may notice: no rebalance. Then each is killed, with its state on disk: what it reads again of its
// changelogs is at most what came after its last commit. `node test/chaos/embedded-rolling.ts --gb 1`
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import wordCount from "../../docs/examples/word-count/word-count.ts";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { readTopic } from "../../runtime/src/connectors/kafka/sink/read-topic.suite.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka } from "../support/real.ts";
import { killAll, Member, type MemberEntry, noFigures, ownTopics, until } from "./embedded-members.ts";
import { OwnChildren } from "./own-children.ts";

const { values: given } = parseArgs({
  options: {
    /** Of state, over all partitions. */
    gb: { type: "string", default: "0.005" },
    partitions: { type: "string", default: "6" },
    rate: { type: "string", default: "500" },
  },
});
const [gb, partitions, rate] = [Number(given.gb), Number(given.partitions), Number(given.rate)];
const processes = 3;
/** A word has about so many bytes, in the key of its state alone. */
const wordBytes = 500;
const words = Math.max(1000, Math.floor((gb * 2 ** 30) / wordBytes));
/** Longer than any of them is away, on a busy machine too. */
const sessionTimeoutMs = 120_000;

const applicationId = `rolling-${randomBytes(4).toString("hex")}`;
const brokers = realKafka().bootstrap.join(",");
const parameters = { brokers, input: `${applicationId}-lines`, output: `${applicationId}-counts` };
const client = new WireKafkaClient(clientOptions({ bootstrapServers: brokers }));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const figures = noFigures();
const folder = await mkdtemp(join(tmpdir(), "embedded-rolling-"));
const generations = new Set<number>();
const opened: { readonly member: string; readonly bytes: number; readonly ms: number }[] = [];
const said = new Map<number, number>();

const filler = "0".repeat(wordBytes - 10);
const wordOf = (index: number): string => `w${index}x${filler}`;
const indexOf = (word: string): number => Number(word.slice(1, word.indexOf("x")));

function blockOf(indexes: readonly number[]): ValueBlock {
  const values = indexes.map((index) => Buffer.from(JSON.stringify({ text: wordOf(index) })));
  for (const index of indexes) said.set(index, (said.get(index) ?? 0) + 1);
  const [starts, ends] = [new Int32Array(values.length), new Int32Array(values.length)];
  let at = 0;
  for (const [i, value] of values.entries()) {
    starts[i] = at;
    ends[i] = at += value.length;
  }
  return { bytes: Buffer.concat(values), starts, ends };
}

const children = new OwnChildren();
const members = Array.from({ length: processes }, (_, number) => {
  const name = `pod-${number}`;
  const env = {
    JOB: fileURLToPath(new URL("../../docs/examples/word-count/word-count.ts", import.meta.url)),
    MILLRACE_APPLICATION_ID: applicationId,
    MILLRACE_PARAMETERS: JSON.stringify(parameters),
    MILLRACE_INSTANCE_ID: name,
    MILLRACE_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    MILLRACE_STATE_DIRECTORY: join(folder, name),
  };
  const onEntry = (entry: MemberEntry): void => {
    if (entry.message === "assignment received") generations.add(Number(entry["generationId"]));
    if (entry.message === "task runs") opened.push({ member: name, bytes: Number(entry["restoredBytes"]), ms: Number(entry["openMs"]) });
  };
  return new Member(children, name, env, figures, onEntry);
});
const allRun = (): boolean => members.every(({ state }) => state === "running");

async function ends(
  topics: readonly string[],
): Promise<readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]> {
  const all = topics.flatMap((topic) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition, at: "latest" as const })),
  );
  return client.listOffsets(all, "read_committed");
}

/** Waits until everything that was said is counted. */
async function counted(): Promise<void> {
  const read = [parameters.input, `${applicationId}-count-repartition`];
  await until("not all that was said is counted", 1_800_000, async () => {
    const found = await ends(read);
    const committed = new Map(
      (await client.groupOffsets(applicationId, found)).map((each) => [`${each.topic}/${each.partition}`, each.offset]),
    );
    // The marker of the last transaction stands behind the last record of a repartition topic.
    return found.every(({ topic, partition, offset }) => {
      const behind = offset - (committed.get(`${topic}/${partition}`) ?? 0);
      return behind <= (topic === parameters.input ? 0 : 1);
    });
  });
}

/** Says words at the rate until `stop`, and looks how long each task commits nothing. */
class Traffic {
  readonly gapsMs: number[] = Array.from({ length: partitions }, () => 0);
  #going = true;
  readonly #done: Promise<unknown> = Promise.all([this.#speak(), this.#watch()]);

  async #speak(): Promise<void> {
    const stepMs = 100;
    for (let next = 0; this.#going; ) {
      const many = Math.max(partitions, Math.floor((rate * stepMs) / 1000));
      await produceBlock(client, parameters.input, partitions, blockOf(Array.from({ length: many }, () => next++ % words)));
      await sleep(stepMs);
    }
  }

  // By what each task has committed: all of them write to each partition of the output.
  async #watch(): Promise<void> {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic: `${applicationId}-count-repartition`, partition }));
    const last = Array.from({ length: partitions }, () => ({ offset: -1, sinceMs: Date.now() }));
    while (this.#going) {
      for (const { partition, offset } of await client.groupOffsets(applicationId, all)) {
        const seen = last[partition] as (typeof last)[number];
        if (offset === seen.offset) continue;
        if (seen.offset >= 0) this.gapsMs[partition] = Math.max(this.gapsMs[partition] ?? 0, Date.now() - seen.sinceMs);
        last[partition] = { offset, sinceMs: Date.now() };
      }
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#done;
  }
}

/** One after the other ends by `signal` and comes back. Returns how many rounds the group had meanwhile, and what was read again. */
async function roll(signal: "SIGTERM" | "SIGKILL"): Promise<{ readonly rebalances: number; readonly bytes: number }> {
  const before = new Set(generations);
  opened.length = 0;
  const traffic = new Traffic();
  await sleep(1000);
  for (const member of members) {
    const startedMs = Date.now();
    const code = await member.end(signal);
    if (signal === "SIGTERM" && code !== 0) throw new Error(`${member.name} ended with ${code}`);
    member.start();
    await until(`${member.name} does not run again`, 300_000, allRun);
    const own = opened.filter((each) => each.member === member.name);
    const bytes = own.reduce((sum, each) => sum + each.bytes, 0);
    say(
      `  ${member.name}: runs again after ${((Date.now() - startedMs) / 1000).toFixed(1)} s, ${own.length} tasks, ${bytes} bytes read again`,
    );
    await sleep(1000);
  }
  await traffic.stop();
  const rebalances = [...generations].filter((generation) => !before.has(generation)).length;
  say(`${signal}: ${rebalances} rebalances; longest time without a commit per partition, ms: ${traffic.gapsMs.join(" ")}`);
  return { rebalances, bytes: opened.reduce((sum, each) => sum + each.bytes, 0) };
}

async function main(): Promise<boolean> {
  say(`rolling: ${words} words of ${wordBytes} bytes, ${partitions} partitions, ${processes} processes`);
  const topics = [parameters.input, parameters.output];
  await client.createTopics(topics.map((name) => ({ name, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } })));
  for (const member of members) member.start();
  await until("the application does not run", 300_000, allRun);
  for (let from = 0; from < words; from += 50_000)
    await produceBlock(
      client,
      parameters.input,
      partitions,
      blockOf(Array.from({ length: Math.min(50_000, words - from) }, (_, i) => from + i)),
    );
  await counted();
  await until("the application does not run", 300_000, allRun);
  const inOrder = await roll("SIGTERM");
  await counted();
  const killed = await roll("SIGKILL");
  await counted();
  const last = new Map<number, number>();
  let twice = 0;
  for (const { value } of await readTopic(client, parameters.output)) {
    const { word, times } = JSON.parse(value ?? "{}") as { word: string; times: number };
    const index = indexOf(word);
    if (times <= (last.get(index) ?? 0)) twice++;
    last.set(index, times);
  }
  const wrong = [...said].filter(([index, times]) => last.get(index) !== times).length;
  const stateBytes = words * wordBytes;
  say(
    `${said.size} words: ${wrong} wrong, ${twice} twice; read again after the kills ${killed.bytes} bytes, ` +
      `${((100 * killed.bytes) / stateBytes).toFixed(2)} % of the state; ${figures.failures} failures`,
  );
  const codes = await Promise.all(members.map((member) => member.end("SIGTERM")));
  // What came between a commit in Kafka and its copy on disk is some batches, never the state.
  const tail = killed.bytes + inOrder.bytes < stateBytes / 10;
  return wrong === 0 && twice === 0 && inOrder.rebalances === 0 && tail && figures.failures === 0 && codes.every((code) => code === 0);
}

try {
  const correct = await main();
  say(correct ? "exact" : "NOT EXACT");
  process.exitCode = correct ? 0 : 1;
} finally {
  await killAll(members);
  await rm(folder, { recursive: true, force: true });
  await client.deleteTopics([parameters.input, parameters.output, ...ownTopics(wordCount, applicationId, parameters)]);
  await client.close();
}
