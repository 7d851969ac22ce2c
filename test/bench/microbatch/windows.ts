// Case windows: the windowed count from topic to topic by `millrace run`, on request beside Spark's on the same topics in turn.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realKafka } from "../../support/real.ts";
import { Peers } from "../kafka/peers.ts";
import { createOutputTopic, fillInputTopics, openClient, recordsIn } from "../kafka/topics.ts";
import { Expectations, verifyOutput } from "../kafka/verify.ts";
import { measure } from "../measure.ts";
import { median, printTable, thousands } from "../table.ts";

const program = fileURLToPath(new URL("../../../runtime/bin/millrace.js", import.meta.url));
const job = fileURLToPath(new URL("windows-job.ts", import.meta.url));

export interface WindowsOptions {
  readonly records: number;
  readonly runs: number;
  /** The folder of the peers' programs. */
  readonly peers: string | undefined;
}

interface Run {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly peakBytes: number;
  readonly problem: string | undefined;
}

interface Measuring {
  readonly client: ReturnType<typeof openClient>;
  readonly bootstrap: string;
  readonly expectations: Expectations;
  readonly verify: ((topic: string) => Promise<string | undefined>) | undefined;
}

async function ourRun({ client, bootstrap, expectations, verify }: Measuring): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-windows-"));
  const output = `bench-windows-${Date.now()}`;
  await createOutputTopic(client, output);
  try {
    const parameters = [`brokers=${bootstrap}`, "in=bids", `out=${output}`].flatMap((each) => ["-p", each]);
    const flags = ["--storage", `file://${folder}/snapshots`, "--state-backend", "rocksdb", "--port", "0", "--no-status"];
    const measured = await measure([program, "run", job, ...parameters, ...flags]);
    let problem = measured.exitCode === 0 ? undefined : `ended with ${measured.exitCode}: ${measured.output.slice(-500)}`;
    let { endedMs } = measured;
    if (problem === undefined) {
      const verdict = await verifyOutput("q12e", client, expectations, "bids", output);
      problem = verdict.problem ?? (await verify?.(output));
      endedMs = verdict.lastOutMs;
    }
    return {
      cpuSeconds: measured.userSeconds + measured.systemSeconds,
      wallSeconds: (endedMs - measured.startedMs) / 1000,
      peakBytes: measured.peakBytes,
      problem,
    };
  } finally {
    await client.deleteTopics([output]).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

/** True when every output was right. */
export async function windowsCase({ records, runs, peers: folder }: WindowsOptions): Promise<boolean> {
  const peers = folder === undefined ? undefined : await Peers.open(folder);
  const bootstrap = peers?.bootstrap ?? realKafka().bootstrap.join(",");
  const client = openClient(bootstrap);
  try {
    if (peers === undefined) await fillInputTopics(client, records);
    else if ((await recordsIn(client, "bids")) !== records) await peers.generate(records);
    const verify = peers === undefined ? undefined : (topic: string) => peers.verify("q12e", topic, records);
    const measuring = { client, bootstrap, expectations: new Expectations(client), verify };
    const results = new Map<string, Run[]>([["millrace", []], ...(peers === undefined ? [] : [["spark", []] satisfies [string, Run[]]])]);
    // In turn, so that a noisy minute meets both.
    for (let round = 0; round < runs; round++) {
      for (const [engine, of] of results) {
        const run = engine === "millrace" || peers === undefined ? await ourRun(measuring) : await peers.run("spark", "q12e", records);
        of.push(run);
        process.stderr.write(`windows ${engine}: ${run.cpuSeconds.toFixed(2)} CPU s ${run.problem ?? ""}\n`);
      }
    }
    print(records, runs, results);
    return (results.get("millrace") ?? []).every(({ problem }) => problem === undefined);
  } finally {
    await client.close();
  }
}

function print(records: number, runs: number, results: ReadonlyMap<string, readonly Run[]>): void {
  const middle = (engine: string, of: (run: Run) => number): number => median((results.get(engine) ?? []).map(of));
  printTable(
    [
      `10 s windows per bidder, ${thousands(records)} records, median of ${runs}`,
      "records/CPU-s",
      "ratio",
      "records/s",
      "ratio",
      "CPU s",
      "peak RSS MiB",
    ],
    [...results].map(([engine, of]) => {
      const problem = of.find((run) => run.problem !== undefined)?.problem;
      if (problem !== undefined && engine === "millrace") return [engine, "wrong output"];
      const cpu = middle(engine, (run) => run.cpuSeconds);
      const wall = middle(engine, (run) => run.wallSeconds);
      const ratio = (value: number, ours: number): string => (engine === "millrace" ? "" : `${(value / ours).toFixed(1)}x`);
      return [
        // Another engine's figures stand with what its check said: it did the work, and lost rows on the way.
        problem === undefined ? engine : `${engine} (${problem})`,
        thousands(records / cpu),
        ratio(
          cpu,
          middle("millrace", (run) => run.cpuSeconds),
        ),
        thousands(records / wall),
        ratio(
          wall,
          middle("millrace", (run) => run.wallSeconds),
        ),
        cpu.toFixed(1),
        thousands(middle(engine, (run) => run.peakBytes) / 2 ** 20),
      ];
    }),
  );
}
