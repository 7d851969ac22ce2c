// Kafka Streams' own smoke test, ported: the same checks on the same kinds of result, by processes of an embedded application that are ended and
// killed meanwhile. What is expected is computed from the input alone. `npm run test:smoke -- --keys 20000 --per-key 10`
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { readTopic } from "../../runtime/src/connectors/kafka/sink/read-topic.suite.ts";
import { random } from "../bench/bids.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka } from "../support/real.ts";
import { killAll, Member, noFigures, ownTopics } from "./embedded-members.ts";
import smoke from "./embedded-smoke-job.ts";
import { OwnChildren } from "./own-children.ts";

const { values: given } = parseArgs({
  options: {
    keys: { type: "string", default: "20000" },
    "per-key": { type: "string", default: "10" },
    processes: { type: "string", default: "3" },
    partitions: { type: "string", default: "4" },
    /** For so long records come and processes end. */
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const numbers = [given.keys, given["per-key"], given.processes, given.partitions, given.seconds, given.seed].map(Number);
const [keys, perKey, processes, partitions, seconds, seed] = numbers as [number, number, number, number, number, number];
const dayMs = 86_400_000;
/** In the middle of a window of two days, so that the rows are on both sides of the end of one of one day. */
const fromMs = 9_900 * 2 * dayMs + dayMs - 30_000;
const spanMs = 60_000;
const outOfOrderMs = 20_000;
const outputs = ["echo", "min-suppressed", "sws-suppressed", "min", "max", "sum", "cnt", "dif", "avg", "tagg"] as const;
type Output = (typeof outputs)[number];

const prefix = `smoke-${randomBytes(4).toString("hex")}`;
const parameters = { brokers: realKafka().bootstrap.join(","), prefix };
const client = new WireKafkaClient(clientOptions({ bootstrapServers: parameters.brokers }));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const figures = noFigures();
const ends = { killed: 0, closed: 0 };

interface Row {
  readonly key: string;
  readonly value: number;
  readonly at: number;
}

/** Each key's values once, in an order that is mixed within ten places, and the keys mixed among each other. */
function inputRows(next: () => number): readonly Row[] {
  const whole = (below: number): number => Math.floor(next() * below);
  const left = Array.from({ length: keys }, (_, low) => {
    const values = Array.from({ length: perKey }, (__, step) => low + step);
    for (let i = 0; i < values.length; i++) {
      const j = i + whole(Math.min(values.length - i, 10));
      [values[i], values[j]] = [values[j] as number, values[i] as number];
    }
    return { key: `${low}-${low + perKey - 1}`, values };
  });
  const rows: Row[] = [];
  const total = keys * perKey;
  while (left.length > 0) {
    const index = whole(left.length);
    const { key, values } = left[index] as (typeof left)[number];
    const at = fromMs + Math.floor((rows.length * spanMs) / total) - whole(outOfOrderMs);
    rows.push({ key, value: values.shift() as number, at });
    const last = left.at(-1) as (typeof left)[number];
    if (values.length > 0) continue;
    left[index] = last;
    left.pop();
  }
  return rows;
}

/** The last value of each key of each output, and of `echo` each row. */
function expectedOf(rows: readonly Row[]): ReadonlyMap<Output, ReadonlyMap<string, number>> {
  const of = new Map<Output, Map<string, number>>(outputs.map((name) => [name, new Map<string, number>()]));
  const put = (name: Output, key: string, fn: (before: number | undefined) => number): void => {
    const values = of.get(name) as Map<string, number>;
    values.set(key, fn(values.get(key)));
  };
  for (const { key, value, at } of rows) {
    put("echo", `${key}=${value}`, (before = 0) => before + 1);
    put("min-suppressed", `${key}@${Math.floor(at / dayMs) * dayMs}`, (before = Infinity) => Math.min(before, value));
    const second = Math.floor(at / 1000) * 1000;
    for (const start of [second - 1000, second]) put("sws-suppressed", `${key}@${start}`, (before = 0) => before + value);
  }
  // As the original does it: what a key's name says.
  for (const key of new Set(rows.map((row) => row.key))) {
    const [low = 0, high = 0] = key.split("-").map(Number);
    const many = high - low + 1;
    put("min", key, () => low);
    put("max", key, () => high);
    put("dif", key, () => high - low);
    put("cnt", key, () => many);
    put("sum", key, () => ((low + high) * many) / 2);
    put("avg", key, () => (low + high) / 2);
    put("tagg", String(many), (before = 0) => before + 1);
  }
  return of;
}

function blockOf(rows: readonly Row[]): ValueBlock {
  const bytes = Buffer.allocUnsafeSlow(rows.length * 80);
  const [starts, ends_] = [new Int32Array(rows.length), new Int32Array(rows.length)];
  let at = 0;
  for (const [index, row] of rows.entries()) {
    starts[index] = at;
    at += bytes.write(JSON.stringify(row), at, "latin1");
    ends_[index] = at;
  }
  return { bytes: bytes.subarray(0, at), starts, ends: ends_ };
}

const children = new OwnChildren();
const members = Array.from({ length: processes }, (_, index) => {
  const env = {
    JOB: fileURLToPath(new URL("embedded-smoke-job.ts", import.meta.url)),
    MILLRACE_APPLICATION_ID: prefix,
    MILLRACE_PARAMETERS: JSON.stringify(parameters),
    MILLRACE_INSTANCE_ID: `member-${index}`,
    MILLRACE_SESSION_TIMEOUT_MS: "6000",
  };
  return new Member(children, `member-${index}`, env, figures);
});

/** Every few seconds a process ends, in order or not; most come back at once, some only after their tasks went to others. */
async function endAgainAndAgain(untilMs: number, next: () => number): Promise<void> {
  while (Date.now() < untilMs) {
    await sleep(2000 + next() * 3000);
    const member = members[Math.floor(next() * members.length)] as Member;
    const kill = next() < 0.6;
    await member.end(kill ? "SIGKILL" : "SIGTERM");
    ends[kill ? "killed" : "closed"]++;
    if (next() < 0.3) await sleep(7000);
    member.start();
  }
}

/** Waits until nothing has come for ten seconds after the last window, which has to come. */
async function settled(windows: number): Promise<void> {
  const deadlineMs = Date.now() + 600_000;
  let quietSinceMs = Date.now();
  let before = "";
  for (;;) {
    const all = outputs.flatMap((name) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: `${prefix}-${name}`, partition, at: "latest" as const })),
    );
    const found = await client.listOffsets(all, "read_committed");
    const closed = found.reduce((sum, { topic, offset }) => sum + (topic.endsWith("sws-suppressed") ? offset : 0), 0);
    const now = JSON.stringify(found.map(({ offset }) => offset));
    if (now !== before || closed < windows) quietSinceMs = Date.now();
    before = now;
    if (Date.now() - quietSinceMs > 10_000) return;
    if (Date.now() > deadlineMs) throw new Error(`the results were not there after ten minutes: ${closed} of ${windows} windows`);
    await sleep(500);
  }
}

/** Compares one output; returns how many of its keys are wrong or missing, or came more often than they may. */
async function check(name: Output, expected: ReadonlyMap<string, number>): Promise<number> {
  const last = new Map<string, number>();
  let wrong = 0;
  for (const { key, value } of await readTopic(client, `${prefix}-${name}`)) {
    if (value === null) {
      last.delete(key ?? "");
      continue;
    }
    const row = JSON.parse(value) as { key: string; value: number };
    const id = name === "echo" ? `${row.key}=${row.value}` : (key ?? "");
    const before = last.get(id);
    // Once for each input, and once for each window that closes; a count that does not grow was put out twice.
    if (before !== undefined && (name === "echo" || name.endsWith("suppressed"))) wrong++;
    if (before !== undefined && name === "cnt" && row.value <= before) wrong++;
    last.set(id, name === "echo" ? 1 : row.value);
  }
  for (const [key, value] of expected) if (last.get(key) !== value) wrong++;
  wrong += [...last.keys()].filter((key) => !expected.has(key)).length;
  say(`${name}: ${expected.size} results, ${wrong} wrong`);
  return wrong;
}

async function main(): Promise<boolean> {
  say(`smoke: ${keys} keys, ${perKey} rows each, ${partitions} partitions, ${processes} processes, seed ${seed}`);
  const topics = ["data", ...outputs].map((name) => `${prefix}-${name}`);
  await client.createTopics(topics.map((name) => ({ name, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } })));
  const next = random(seed);
  const rows = inputRows(next);
  const expected = expectedOf(rows);
  for (const member of members) member.start();
  const startedMs = Date.now();
  const ending = endAgainAndAgain(startedMs + seconds * 1000, random(seed + 1));
  const bursts = Math.max(1, seconds);
  for (let burst = 0; burst < bursts; burst++) {
    const part = rows.slice(Math.floor((rows.length * burst) / bursts), Math.floor((rows.length * (burst + 1)) / bursts));
    await produceBlock(client, `${prefix}-data`, partitions, blockOf(part));
    await sleep(Math.max(0, startedMs + (burst + 1) * 1000 - Date.now()));
  }
  await ending;
  const flush = { key: "flush", value: 0, at: fromMs + 5 * dayMs };
  await produceBlock(client, `${prefix}-data`, partitions, blockOf(Array.from({ length: partitions }, () => flush)));
  await settled(expected.get("sws-suppressed")?.size ?? 0);
  const wrong: number[] = [];
  for (const name of outputs) wrong.push(await check(name, expected.get(name) ?? new Map()));
  const codes = await Promise.all(members.map((member) => member.end("SIGTERM")));
  const open = (await client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter(({ transactionalId }) =>
    transactionalId.startsWith(prefix),
  );
  say(
    `${ends.killed} kills, ${ends.closed} closed, ${figures.assignments} assignments, ${figures.tasksOpened} tasks opened, ` +
      `${figures.restoredRecords} records restored, ${open.length} transactions left open, ${figures.failures} failures, ` +
      `${((Date.now() - startedMs) / 1000).toFixed(1)} s`,
  );
  return wrong.every((each) => each === 0) && open.length === 0 && figures.failures === 0 && codes.every((code) => code === 0);
}

try {
  const correct = await main();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
  process.exitCode = correct ? 0 : 1;
} finally {
  await killAll(members);
  const made = [...["data", ...outputs].map((name) => `${prefix}-${name}`), ...ownTopics(smoke, prefix, parameters)];
  // What went wrong is to be looked at: the topics stay.
  if (process.exitCode === 0) await client.deleteTopics(made);
  else say(`topics kept: ${prefix}-*`);
  await client.close();
}
