// An embedded application whose state directory is full: one clear error, nothing lost, and it goes on once there is room. The directory is a small
// tmpfs in a mount namespace of its own, which is gone with its last process. `node test/chaos/embedded-full-disk.ts`
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import wordCount from "../../docs/examples/word-count/word-count.ts";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { readTopic } from "../../runtime/src/connectors/kafka/sink/read-topic.suite.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka } from "../support/real.ts";
import { Member, type MemberEntry, noFigures, ownTopics, until } from "./embedded-members.ts";
import { OwnChildren } from "./own-children.ts";

const { values: given } = parseArgs({
  options: {
    words: { type: "string", default: "25000" },
    "disk-mb": { type: "string", default: "8" },
  },
});
const [words, diskMb] = [Number(given.words), Number(given["disk-mb"])];
const partitions = 2;
const brokers = realKafka().bootstrap.join(",");
const client = new WireKafkaClient(clientOptions({ bootstrapServers: brokers }));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const asRoot = process.getuid?.() === 0;
/** A folder that every system has and that nothing here needs; the mount over it is seen in the namespace alone. */
const directory = "/mnt";

const children = new OwnChildren();

/** Holds the mount namespace with the small disk. */
class SmallDisk {
  readonly #keeper: ChildProcess;

  constructor() {
    const script = `mount -t tmpfs -o size=${diskMb}m tmpfs ${directory} && echo mounted && exec sleep 3600`;
    const args = [...(asRoot ? [] : ["--user", "--map-root-user"]), "--mount", "sh", "-c", script];
    this.#keeper = children.add(spawn("unshare", args, { stdio: ["ignore", "pipe", "inherit"] }));
  }

  async mounted(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#keeper.stdout?.once("data", () => resolve());
      this.#keeper.once("exit", (code) => reject(new Error(`a tmpfs could not be mounted: unshare ended with ${code}`)));
    });
  }

  /** What runs a program inside. */
  get prefix(): readonly [string, ...string[]] {
    const user = asRoot ? [] : ["--user", "--preserve-credentials"];
    // As the namespaces of files only: the working directory stays.
    return ["nsenter", "--target", String(this.#keeper.pid), ...user, "--mount", `--wdns=${process.cwd()}`];
  }

  grow(): void {
    const [program, ...args] = [...this.prefix, "mount", "-o", "remount,size=512m", directory];
    execFileSync(program, args);
  }

  end(): void {
    this.#keeper.kill("SIGKILL");
  }
}

const word = (index: number): string => `w${index}x${String(index).padStart(8, "0").repeat(20)}`;

function lines(): ValueBlock {
  const values = Array.from({ length: words }, (_, index) => Buffer.from(JSON.stringify({ text: word(index) })));
  const ends = new Int32Array(words);
  const starts = new Int32Array(words);
  for (let i = 0, at = 0; i < words; i++) {
    starts[i] = at;
    ends[i] = at += (values[i] as Buffer).length;
  }
  return { bytes: Buffer.concat(values), starts, ends };
}

/** How many words are not counted as often as they were said, or not once each time. */
async function wrongCounts(topic: string, said: number): Promise<number> {
  const counted = new Map<string, number>();
  let twice = 0;
  for (const { value } of await readTopic(client, topic)) {
    const row = JSON.parse(value ?? "{}") as { word: string; times: number };
    if (row.times <= (counted.get(row.word) ?? 0)) twice++;
    counted.set(row.word, row.times);
  }
  let wrong = twice;
  for (let index = 0; index < words; index++) if (counted.get(word(index)) !== said) wrong++;
  return wrong;
}

/** `response` is what the application does when a task fails. */
async function run(response: "shutdown-client" | "replace"): Promise<boolean> {
  const applicationId = `full-${randomBytes(4).toString("hex")}`;
  const parameters = { brokers, input: `${applicationId}-lines`, output: `${applicationId}-counts` };
  const topics = [parameters.input, parameters.output];
  await client.createTopics(topics.map((name) => ({ name, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } })));
  const disk = new SmallDisk();
  const errors: string[] = [];
  const onEntry = ({ message, code, reason }: MemberEntry): void => {
    if (message === "failure") errors.push(`${String(code)}: ${String(reason)}`);
  };
  const env = {
    JOB: fileURLToPath(new URL("../../docs/examples/word-count/word-count.ts", import.meta.url)),
    MILLRACE_APPLICATION_ID: applicationId,
    MILLRACE_PARAMETERS: JSON.stringify(parameters),
    MILLRACE_INSTANCE_ID: "only",
    MILLRACE_SESSION_TIMEOUT_MS: "6000",
    MILLRACE_STATE_DIRECTORY: `${directory}/state`,
    ON_FAILURE: response,
  };
  await disk.mounted();
  const member = new Member(children, "only", env, noFigures(), onEntry, disk.prefix);
  try {
    member.start();
    await until("the application does not run", 120_000, () => member.state === "running");
    await produceBlock(client, parameters.input, partitions, lines());
    await until("the disk is not full", 180_000, () => errors.length > 0);
    const code = response === "replace" ? null : await member.exited;
    disk.grow();
    if (response !== "replace") member.start();
    await until("the words are not counted", 180_000, async () => (await wrongCounts(parameters.output, 1)) === 0, 1000);
    // What was counted before the disk was full is known behind it.
    await produceBlock(client, parameters.input, partitions, lines());
    let wrong = words;
    const again = async (): Promise<boolean> => {
      wrong = await wrongCounts(parameters.output, 2);
      return wrong === 0;
    };
    await until("the words are not counted again", 180_000, again, 1000);
    await member.end("SIGTERM");
    member.start();
    await until("the application does not run again", 120_000, () => member.state === "running");
    const ended = await member.end("SIGTERM");
    const other = errors.filter((error) => !error.startsWith("EMBEDDED_STATE_DIRECTORY: ") || !error.includes(directory));
    say(`${response}: ${errors.length} failures, exit code ${code}, at the end ${ended}; ${words} words, ${wrong} wrong`);
    for (const error of new Set([...errors.slice(0, 1), ...other])) say(`  ${error}`);
    return other.length === 0 && wrong === 0 && ended === 0 && (response === "replace" || (code !== null && code !== 0));
  } finally {
    await member.end("SIGKILL");
    disk.end();
    await client.deleteTopics([...topics, ...ownTopics(wordCount, applicationId, parameters)]);
  }
}

try {
  const correct = [await run("shutdown-client"), await run("replace")].every(Boolean);
  say(correct ? "exact" : "NOT EXACT");
  process.exitCode = correct ? 0 : 1;
} finally {
  await client.close();
}
