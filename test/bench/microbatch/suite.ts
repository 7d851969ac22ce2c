// The micro-batch benchmarks: a windowed count from Kafka, latency at a steady rate, and batches over many keys.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { realKafka } from "../../support/real.ts";
import { createOutputTopic, openClient } from "../kafka/topics.ts";
import { startProcess } from "../latency/process.ts";
import { median, printTable, thousands } from "../table.ts";
import { windowsCase } from "./windows.ts";

export const microbatchCases = ["windows", "trigger", "keys"] as const;
export type MicrobatchCase = (typeof microbatchCases)[number];

export interface MicrobatchOptions {
  readonly cases: readonly MicrobatchCase[];
  readonly records: number;
  readonly runs: number;
  readonly rate: number;
  readonly seconds: number;
  readonly keys: number;
  /** The folder of the peers' programs. */
  readonly peers: string | undefined;
}

const programs = { steady: "steady-main.ts", keys: "keys-main.ts" } as const;

interface Started {
  readonly child: ChildProcess;
  readonly running: Promise<void>;
  readonly result: Promise<Record<string, unknown>>;
}

function start(scenario: keyof typeof programs, options: Readonly<Record<string, string>>): Started {
  const program = fileURLToPath(new URL(programs[scenario], import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ["ignore", "pipe", "inherit"] });
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

interface BatchFigures {
  readonly rows: number;
  readonly ms: number;
  readonly cpuMs: number;
  readonly bytes: number;
  readonly keys: number;
}

const perBatch = 50_000;
const batches = 100;
const smaller = 50;

async function keysCase({ keys }: MicrobatchOptions): Promise<boolean> {
  const given = { keys, batch: perBatch, batches, smaller };
  const result = await start("keys", Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]))).result;
  const figures = result["figures"] as readonly BatchFigures[];
  const many = figures.slice(-(batches + smaller), -smaller);
  const few = figures.slice(-smaller);
  const row = (name: string, of: readonly BatchFigures[]): string[] => [
    name,
    thousands(of[0]?.rows ?? 0),
    median(of.map(({ ms }) => ms)).toFixed(0),
    Math.max(...of.map(({ ms }) => ms)).toFixed(0),
    median(of.map(({ cpuMs }) => cpuMs)).toFixed(0),
    thousands(median(of.map(({ bytes }) => bytes))),
    thousands(Math.max(...of.map(({ bytes }) => bytes))),
  ];
  const quarter = batches / 4;
  const quarters = [0, 1, 2, 3].map((at) => many.slice(at * quarter, (at + 1) * quarter));
  printTable(
    [
      `batches over ${thousands(figures.at(-1)?.keys ?? 0)} keys${result["right"] === true ? "" : " WRONG"}`,
      "rows",
      "ms",
      "max ms",
      "CPU ms",
      "bytes written",
      "max bytes",
    ],
    [
      ...quarters.map((of, at) => row(`${at * quarter + 1} to ${(at + 1) * quarter}`, of)),
      row(`${batches + 1} to ${batches + smaller}`, few),
    ],
  );
  const fill = figures.slice(0, -(batches + smaller));
  process.stdout.write(
    `fill: ${fill.length} batches, ${thousands(fill.reduce((sum, { bytes }) => sum + bytes, 0))} bytes written; ` +
      `peak RSS ${thousands((result["peakBytes"] as number) / 2 ** 20)} MiB\n`,
  );
  return result["right"] === true;
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
