// The micro-batch benchmarks: a windowed count from Kafka, latency at a steady rate, and batches over many keys.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { realKafka } from "../../support/real.ts";
import { produceBlock } from "../../support/produce.ts";
import { type BidBlock, generateBids } from "../bids.ts";
import { createOutputTopic, openClient, partitionCount } from "../kafka/topics.ts";
import { startProcess } from "../latency/process.ts";
import { median, printTable, thousands } from "../table.ts";

export const microbatchCases = ["windows", "trigger", "keys"] as const;
export type MicrobatchCase = (typeof microbatchCases)[number];

export interface MicrobatchOptions {
  readonly cases: readonly MicrobatchCase[];
  readonly records: number;
  readonly runs: number;
  readonly rate: number;
  readonly seconds: number;
  readonly keys: number;
}

const program = fileURLToPath(new URL("run.ts", import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly running: Promise<void>;
  readonly result: Promise<Record<string, unknown>>;
}

function start(scenario: string, options: Readonly<Record<string, string>>): Started {
  const child = spawn(process.execPath, [program, scenario, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
  let last = "";
  let announce = (): void => {};
  const running = new Promise<void>((resolve) => {
    announce = resolve;
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "running") announce();
    else last = line;
  });
  const result = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(JSON.parse(last) as Record<string, unknown>) : reject(new Error(`${scenario} ended with ${code}`)),
    );
  });
  result.catch(() => {});
  return { child, running, result };
}

const lateMs = 4000;
const windowMs = 10_000;

/** What the closed windows must hold: those that end at or before the latest time less the lateness. */
function expectedWindows({ bids }: BidBlock): { readonly rows: number; readonly count: number; readonly highest: number } {
  const until = bids.dateTime.reduce((latest, time) => Math.max(latest, time), 0) - lateMs;
  const groups = new Map<string, { n: number; highest: number }>();
  for (let i = 0; i < bids.dateTime.length; i++) {
    const start = Math.floor((bids.dateTime[i] as number) / windowMs) * windowMs;
    if (start + windowMs > until) continue;
    const id = `${start} ${bids.bidder[i]}`;
    const group = groups.get(id) ?? { n: 0, highest: 0 };
    group.n++;
    group.highest = Math.max(group.highest, bids.price[i] as number);
    groups.set(id, group);
  }
  let [count, highest] = [0, 0];
  for (const group of groups.values()) {
    count += group.n;
    highest += group.highest;
  }
  return { rows: groups.size, count, highest };
}

async function windowsCase({ records, runs }: MicrobatchOptions): Promise<boolean> {
  const bootstrap = realKafka().bootstrap.join(",");
  const client = openClient(bootstrap);
  const topic = `microbatch-bids-${Date.now()}`;
  try {
    await createOutputTopic(client, topic);
    const block = generateBids({ count: records, auctions: 1000, seed: 7 });
    const expected = expectedWindows(block);
    await produceBlock(client, topic, partitionCount, block);
    const figures: { readonly perCpuSecond: number; readonly perSecond: number }[] = [];
    for (let run = 0; run < runs; run++) {
      const result = await start("windows", { brokers: bootstrap, topic }).result;
      const [count, highest] = result["sums"] as [number, number];
      if (result["rows"] !== expected.rows || count !== expected.count || highest !== expected.highest) {
        process.stdout.write(`WRONG: ${JSON.stringify(result)}, expected ${JSON.stringify(expected)}\n`);
        return false;
      }
      figures.push({ perCpuSecond: records / (result["cpuSeconds"] as number), perSecond: records / (result["wallSeconds"] as number) });
    }
    printTable(
      ["10 s windows per bidder from Kafka", "records/CPU-s", "records/s"],
      [
        [
          `${thousands(records)} records`,
          thousands(median(figures.map((one) => one.perCpuSecond))),
          thousands(median(figures.map((one) => one.perSecond))),
        ],
      ],
    );
    return true;
  } finally {
    await client.deleteTopics([topic]);
    await client.close();
  }
}

interface Seen {
  readonly seen: number;
  readonly p50: number;
  readonly p99: number;
}

async function triggerCase({ rate, seconds }: MicrobatchOptions): Promise<boolean> {
  const bootstrap = realKafka().bootstrap.join(",");
  const client = openClient(bootstrap);
  const rows: string[][] = [];
  let passed = true;
  try {
    for (const trigger of [100, 20]) {
      const topic = `microbatch-steady-in-${Date.now()}`;
      const output = `microbatch-steady-out-${Date.now()}`;
      await createOutputTopic(client, topic);
      await createOutputTopic(client, output);
      const query = start("steady", { brokers: bootstrap, topic, output, trigger: String(trigger) });
      await Promise.race([query.running, query.result]);
      const probe = startProcess("probe-main.ts", [bootstrap, output, String(rate * seconds), "5", "read_committed", "rows"]);
      await probe.line("ready");
      const load = startProcess("load-main.ts", [bootstrap, topic, String(rate), String(seconds)]);
      await load.last;
      const seen = JSON.parse(await probe.last) as Seen;
      query.child.kill("SIGTERM");
      const result = await query.result;
      passed &&= seen.seen === rate * seconds;
      rows.push([
        `trigger ${trigger} ms${seen.seen === rate * seconds ? "" : " WRONG"}`,
        seen.p50.toFixed(1),
        seen.p99.toFixed(1),
        String(median(result["durations"] as number[])),
        thousands((rate * seconds) / (result["cpuSeconds"] as number)),
      ]);
      await client.deleteTopics([topic, output]);
    }
  } finally {
    await client.close();
  }
  printTable([`${thousands(rate)} records/s, exactly-once, sent to seen`, "p50 ms", "p99 ms", "batch ms", "records/CPU-s"], rows);
  return passed;
}

async function keysCase({ keys }: MicrobatchOptions): Promise<boolean> {
  const result = await start("keys", { keys: String(keys) }).result;
  const durations = result["durations"] as number[];
  const quarter = Math.floor(durations.length / 4);
  const first = median(durations.slice(0, quarter));
  const last = median(durations.slice(-quarter));
  printTable(
    [`batches of 50,000 records over ${thousands(result["keys"] as number)} keys`, "first quarter ms", "last quarter ms", "greatest ms"],
    [[`${durations.length} batches`, String(first), String(last), String(Math.max(...durations))]],
  );
  return last < first * 2;
}

/** True when every output was right. */
export async function microbatchSuite(options: MicrobatchOptions): Promise<boolean> {
  const run: Readonly<Record<MicrobatchCase, (given: MicrobatchOptions) => Promise<boolean>>> = {
    windows: windowsCase,
    trigger: triggerCase,
    keys: keysCase,
  };
  let passed = true;
  for (const each of options.cases) passed = (await run[each](options)) && passed;
  return passed;
}
