// A backlog read from its start by an embedded application: windows of 10 s over records up to 4 s out of order, repartitioned by key. No record
// that a live run keeps may be dropped, in whatever order partitions are read. `node test/chaos/embedded-backlog.ts --records 5000000`
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { boundedOutOfOrderness, count, int53, job, json, kafkaSink, kafkaSource, schema, string, timestamp, tumbling } from "millrace";
import { embedded, type EmbeddedApp } from "millrace/embedded";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { random } from "../bench/bids.ts";
import { consumeCommitted } from "../support/consume.ts";
import { produceBlock, type ValueBlock } from "../support/produce.ts";
import { realKafka } from "../support/real.ts";

const { values: given } = parseArgs({
  options: {
    records: { type: "string", default: "5000000" },
    keys: { type: "string", default: "1000" },
    partitions: { type: "string", default: "12" },
    processes: { type: "string", default: "2" },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [records, keys, partitions, processes, seed] = [given.records, given.keys, given.partitions, given.processes, given.seed].map(
  Number,
) as [number, number, number, number, number];
const windowMs = 10_000;
const outOfOrderMs = 4000;
const firstTimeMs = 1_700_000_000_000;
const applicationId = `backlog-${randomBytes(4).toString("hex")}`;
const topics = { input: `${applicationId}-readings`, output: `${applicationId}-windows` };
const bootstrapServers = realKafka().bootstrap;
const client = new WireKafkaClient(clientOptions({ bootstrapServers }));
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const Reading = schema({ key: string(), at: timestamp() });
const Result = schema({ key: string(), windowStart: timestamp(), windowEnd: timestamp(), n: int53() });
const backlog = job("backlog", (flow) => {
  flow
    .source("readings", kafkaSource({ bootstrapServers, topic: topics.input, format: json(Reading) }), {
      time: "at",
      watermarks: boundedOutOfOrderness(`${outOfOrderMs} ms`),
    })
    .keyBy("key")
    .window(tumbling(`${windowMs} ms`))
    .aggregate({ n: count() }, { uid: "windows" })
    .to("results", kafkaSink({ bootstrapServers, topic: topics.output, format: json(Result), key: "key" }));
});

interface Backlog {
  readonly block: ValueBlock;
  readonly expected: ReadonlyMap<string, number>;
}

/** Event time moves 2 ms with each record of a partition, and each is up to 4 s older than that. The last one of each partition closes every window. */
function makeBacklog(): Backlog {
  const next = random(seed);
  const total = records + partitions;
  const bytes = Buffer.allocUnsafeSlow(total * 48);
  const starts = new Int32Array(total);
  const ends = new Int32Array(total);
  const expected = new Map<string, number>();
  let at = 0;
  for (let i = 0; i < total; i++) {
    const isLast = i >= records;
    const key = isLast ? "end" : `k${Math.floor(next() * keys)}`;
    const time = firstTimeMs + Math.floor(i / partitions) * 2 - Math.floor(next() * outOfOrderMs) + (isLast ? 3_600_000 : 0);
    starts[i] = at;
    at += bytes.write(`{"key":"${key}","at":${time}}`, at, "latin1");
    ends[i] = at;
    if (isLast) continue;
    const id = `${key} ${Math.floor(time / windowMs) * windowMs}`;
    expected.set(id, (expected.get(id) ?? 0) + 1);
  }
  return { block: { bytes: bytes.subarray(0, at), starts, ends }, expected };
}

const apps: EmbeddedApp[] = [];

async function main(): Promise<boolean> {
  say(`backlog: ${records.toLocaleString("en-US")} records in ${partitions} partitions, ${processes} members, seed ${seed}`);
  await client.createTopics(
    Object.values(topics).map((name) => ({ name, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } })),
  );
  const { block, expected } = makeBacklog();
  await produceBlock(client, topics.input, partitions, block);
  const startedMs = Date.now();
  const before = process.cpuUsage();
  for (let member = 0; member < processes; member++) {
    const app = embedded(backlog, { applicationId, sessionTimeoutMs: 6000 });
    apps.push(app);
    await app.start();
  }
  const wanted = [...expected.values()].reduce((sum, n) => sum + n, 0);
  await caughtUp();
  const cpu = process.cpuUsage(before);
  const seconds = (Date.now() - startedMs) / 1000;
  for (const app of apps) await app.close();
  const seen = new Map<string, number>();
  let counted = 0;
  let twice = 0;
  for (const { value } of await consumeCommitted(bootstrapServers, topics.output)) {
    const { key, windowStart, n } = JSON.parse(value) as { key: string; windowStart: number; n: number };
    const id = `${key} ${windowStart}`;
    if (seen.has(id)) twice++;
    seen.set(id, n);
    counted += n;
  }
  const wrong = [...expected].filter(([id, n]) => seen.get(id) !== n).length;
  say(
    `${seconds.toFixed(1)} s, ${((cpu.user + cpu.system) / 1e6).toFixed(1)} CPU-seconds; ${wanted - counted} records dropped; ` +
      `${expected.size} windows: ${wrong} wrong, ${twice} twice`,
  );
  return wanted === counted && wrong === 0 && twice === 0 && seen.size === expected.size;
}

/** Waits until every window has closed and been committed: both topics are read to their ends, and nothing has changed for a while. */
async function caughtUp(): Promise<void> {
  const deadlineMs = Date.now() + 900_000;
  let quietSinceMs = Date.now();
  let lastEnds = "";
  for (;;) {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic: topics.output, partition, at: "latest" as const }));
    const input = all.map((each) => ({ ...each, topic: topics.input }));
    const ends = JSON.stringify((await client.listOffsets(all, "read_committed")).map((each) => each.offset));
    const inputEnds = await client.listOffsets(input, "read_committed");
    const committed = new Map((await client.groupOffsets(applicationId, input)).map((each) => [each.partition, each.offset]));
    const behind = inputEnds.some((each) => (committed.get(each.partition) ?? 0) < each.offset);
    if (behind || ends !== lastEnds) quietSinceMs = Date.now();
    lastEnds = ends;
    if (Date.now() - quietSinceMs > 3000) return;
    if (Date.now() > deadlineMs) throw new Error("the backlog was not read within 15 minutes");
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

try {
  const correct = await main();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
  process.exitCode = correct ? 0 : 1;
} finally {
  const internal = [`${applicationId}-windows-repartition`, `${applicationId}-windows-changelog`, `${applicationId}-control`];
  if (process.exitCode === 0) await client.deleteTopics([...Object.values(topics), ...internal]);
  else say(`topics kept: ${Object.values(topics).join(", ")}`);
  await client.close();
}
