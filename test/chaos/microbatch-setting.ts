// What the chaos programs of micro-batches share: topics of their own on a real Kafka, a folder on a real S3, processes of the command, and the verdict.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka, realS3 } from "../support/real.ts";
import { compareResults, readFiles, readTopic } from "./microbatch-results.ts";
import { OwnChildren } from "./own-children.ts";

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const repository: string = fileURLToPath(new URL("../..", import.meta.url));
/** What every job and query of these programs is called: its transactions are found by that. */
const transactionsOf = "microbatch-chaos";
/** Behind it every window of the readings is closed. */
const closing = '{"key":"end","value":0,"at":1800000000000}';

export class ChaosSetting {
  readonly partitions = 4;
  readonly kafka = realKafka();
  readonly s3 = realS3();
  readonly topics: { readonly input: string; readonly output: string };
  readonly folder: string;
  readonly parquet: string;
  readonly #client: WireKafkaClient;
  readonly #children = new OwnChildren();

  constructor(prefix: string) {
    const run = randomBytes(4).toString("hex");
    this.topics = { input: `${prefix}-in-${run}`, output: `${prefix}-out-${run}` };
    this.folder = `s3://${this.s3.bucket}/microbatch-${run}`;
    this.parquet = `${this.folder}/out`;
    this.#client = new WireKafkaClient(clientOptions({ bootstrapServers: this.kafka.bootstrap }), {});
  }

  async createTopics(): Promise<void> {
    const { topics, partitions } = this;
    await this.#client.createTopics(Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: {} })));
    // The brokers answer for a new topic before they lead it.
    await sleep(2000);
  }

  send(block: ValueBlock): Promise<void> {
    return produceBlock(this.#client, this.topics.input, this.partitions, block);
  }

  /** Ends event time in every partition: a dataflow goes by the least of them. */
  close(): Promise<void> {
    const bytes = Buffer.from(closing.repeat(this.partitions));
    const starts = Int32Array.from({ length: this.partitions }, (_value, i) => i * closing.length);
    return this.send({ bytes, starts, ends: starts.map((start) => start + closing.length) });
  }

  /** A process of the `millrace` command; `heard` is told all that it says. */
  start(args: readonly string[], heard: (text: string) => void): ChildProcess {
    const { accessKeyId, secretAccessKey, region } = this.s3;
    const child = spawn(process.execPath, ["runtime/bin/millrace.js", ...args], {
      cwd: repository,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region },
    });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", heard);
    return this.#children.add(child);
  }

  /** Says how both outputs differ from what they must be, and what transactions hang; true where nothing is wrong. */
  async judge(expected: ReadonlyMap<string, string>): Promise<boolean> {
    const topic = compareResults("topic", await readTopic(this.kafka.bootstrap, this.topics.output), expected);
    const files = compareResults("files", await readFiles(this.parquet, this.s3), expected);
    const all = await this.#client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"]);
    const hanging = all.filter(({ transactionalId }) => transactionalId.includes(transactionsOf));
    say(`${hanging.length} transactions left open`);
    return topic && files && hanging.length === 0;
  }

  /** Runs the program; its verdict is the exit code. What went wrong is to be looked at: the topics stay then. */
  async conclude(seed: number, run: () => Promise<boolean>): Promise<void> {
    let correct = false;
    try {
      correct = await run();
      say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
    } finally {
      process.exitCode = correct ? 0 : 1;
      if (correct) await this.#client.deleteTopics(Object.values(this.topics));
      else say(`topics kept: ${Object.values(this.topics).join(", ")}`);
      await this.#client.close();
    }
  }
}
