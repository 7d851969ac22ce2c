// Suite latency: from the moment a record is sent until its result is seen in the output topic, at a steady rate; beside a bare consumer of the input, and other engines.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realKafka, realS3 } from "../../support/real.ts";
import { runCommand } from "../kafka/our-run.ts";
import { type PeerEngine, Peers } from "../kafka/peers.ts";
import { createOutputTopic, openClient } from "../kafka/topics.ts";
import { measure, run } from "../measure.ts";
import { startProcess } from "./process.ts";
import { printTable, thousands } from "../table.ts";

export const latencyCases = ["floor", "q0", "updates", "exactly-once"] as const;
export type LatencyCase = (typeof latencyCases)[number];

export interface LatencyOptions {
  readonly cases: readonly LatencyCase[];
  readonly rate: number;
  readonly seconds: number;
  /** Records of so many seconds at the start are not counted. */
  readonly warmSeconds: number;
  readonly json: boolean;
  /** The folder of other engines, whose broker is used and whose programs run beside ours. */
  readonly peers: string | undefined;
  readonly engines: readonly PeerEngine[];
}

interface Seen {
  readonly seen: number;
  readonly sum: string;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

interface CaseResult extends Omit<Seen, "sum"> {
  readonly case: LatencyCase | PeerEngine | "floor of peers";
  readonly worstBehindMs: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly problem: string | undefined;
}

const processes = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export async function latencySuite(options: LatencyOptions): Promise<boolean> {
  const peers = options.peers === undefined ? undefined : await Peers.open(options.peers);
  const bootstrap = peers?.bootstrap ?? realKafka().bootstrap.join(",");
  const results: CaseResult[] = [];
  const note = (result: CaseResult): void => {
    results.push(result);
    process.stderr.write(`${result.case}: p50 ${result.p50.toFixed(1)} p99 ${result.p99.toFixed(1)} ms ${result.problem ?? ""}\n`);
  };
  for (const which of options.cases) note(await measureCase(which, bootstrap, options));
  if (peers !== undefined) {
    note({ ...(await peers.latency("floor", options)), case: "floor of peers" });
    for (const engine of options.engines) note({ ...(await peers.latency(engine, options)), case: engine });
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ rate: options.rate, seconds: options.seconds, results })}\n`);
  else print(options, results);
  return results.every((each) => each.problem === undefined);
}

async function measureCase(which: LatencyCase, bootstrap: string, options: LatencyOptions): Promise<CaseResult> {
  const client = openClient(bootstrap);
  const folder = await mkdtemp(join(tmpdir(), "millrace-latency-"));
  const [input, output] = [`latency-in-${Date.now()}`, `latency-out-${Date.now()}`];
  for (const topic of [input, output]) await createOutputTopic(client, topic);
  const records = options.rate * options.seconds;
  const isolation = which === "exactly-once" ? "read_committed" : "read_uncommitted";
  const [watched, atMost] = which === "floor" ? [input, input] : [output, input];
  try {
    let stop: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    const engine = which === "floor" ? undefined : startEngine(which, bootstrap, input, output, folder, stopped);
    const probe = startProcess("probe-main.ts", [
      bootstrap,
      watched,
      String(records),
      String(options.warmSeconds),
      isolation,
      which === "updates" ? "counts" : "rows",
    ]);
    await probe.line("ready");
    const load = startProcess("load-main.ts", [bootstrap, atMost, String(options.rate), String(options.seconds)]);
    const { worstBehindMs } = JSON.parse(await load.last) as { readonly worstBehindMs: number };
    const seen = JSON.parse(await probe.last) as Seen;
    stop();
    const measured = await engine;
    // All that went in: a bare consumer of the input says what a correct output adds up to.
    const reference = await run([process.execPath, processes("probe-main.ts"), bootstrap, input, String(records), "0"]);
    const expected = JSON.parse(reference.trim().split("\n").at(-1) as string) as Seen;
    const expectedSum = which === "updates" ? String(records) : expected.sum;
    const wrong = seen.seen !== expected.seen || seen.sum !== expectedSum;
    const failed =
      measured !== undefined && measured.exitCode !== 0 ? `ended with ${measured.exitCode}: ${measured.output.slice(-400)}` : undefined;
    return {
      ...seen,
      case: which,
      worstBehindMs,
      cpuSeconds: measured === undefined ? Number.NaN : measured.userSeconds + measured.systemSeconds,
      peakBytes: measured?.peakBytes ?? Number.NaN,
      problem:
        failed ?? (wrong ? `saw ${seen.seen} records that add up to ${seen.sum}, not ${expected.seen} and ${expectedSum}` : undefined),
    };
  } finally {
    await client.deleteTopics([input, output]).catch(() => undefined);
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function startEngine(
  which: Exclude<LatencyCase, "floor">,
  bootstrap: string,
  input: string,
  output: string,
  folder: string,
  stopped: Promise<void>,
): ReturnType<typeof measure> {
  const parameters = { brokers: bootstrap, in: input, out: output, unbounded: "true" };
  if (which !== "exactly-once") {
    const flags = [
      "--storage",
      `file://${folder}`,
      "--checkpoint-interval",
      "1 s",
      "--state-backend",
      which === "q0" ? "memory" : "rocksdb",
    ];
    return measure(runCommand(which, parameters, flags), { until: stopped });
  }
  const s3 = realS3();
  const storage = `s3://${s3.bucket}/bench-latency-${Date.now()}`;
  const flags = ["--storage", storage, "--s3-endpoint", s3.endpoint, "--checkpoint-interval", "100 ms"];
  const environment = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region };
  return measure(runCommand("q0", { ...parameters, delivery: "exactly-once" }, flags), { until: stopped, environment });
}

const titles: Readonly<Record<CaseResult["case"], string>> = {
  floor: "a bare consumer of the input",
  q0: "stateless, checkpoints each second",
  updates: "window update per row, RocksDB, checkpoints each second",
  "exactly-once": "stateless, exactly-once, checkpoints each 100 ms to S3, read_committed",
  "floor of peers": "a bare consumer of the input, by the peers' own probe (whole ms)",
  flink: "stateless (q0), its own probe",
  ks: "stateless (q0), its own probe",
  spark: "stateless (q0), its own probe",
};

function print(options: LatencyOptions, results: readonly CaseResult[]): void {
  process.stdout.write(
    `latency: ${thousands(options.rate)} records/s for ${options.seconds} s, the first ${options.warmSeconds} s left out, ms from sent to seen, every output checked\n\n`,
  );
  const ms = (value: number): string => value.toFixed(1);
  printTable(
    ["case", "p50", "p90", "p99", "p99.9", "max", "CPU s", "peak RSS MiB", "what"],
    results.map((each) =>
      each.problem === undefined
        ? [
            each.case,
            ...[each.p50, each.p90, each.p99, each.p999, each.max].map(ms),
            Number.isNaN(each.cpuSeconds) ? "" : each.cpuSeconds.toFixed(1),
            Number.isNaN(each.peakBytes) ? "" : thousands(each.peakBytes / 2 ** 20),
            titles[each.case],
          ]
        : [each.case, "wrong output"],
    ),
  );
}
