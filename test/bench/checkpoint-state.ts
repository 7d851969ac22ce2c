// Suite checkpoint with large state: what a checkpoint each second costs, against none, while state of RocksDB grows and is then changed everywhere.
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { measure } from "./measure.ts";
import { median, printTable, thousands } from "./table.ts";

export interface CheckpointStateOptions {
  /** Size of the state as a user counts it: the texts of all keys. */
  readonly stateMegabytes: number;
  readonly runs: number;
  readonly json: boolean;
}

interface StateRun {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly peakBytes: number;
  readonly problem: string | undefined;
}

const noteLength = 900;
const keysPerLine = 20;
const intervals = ["1 h", "1 s"] as const;
const runner = fileURLToPath(new URL("../../runtime/bin/millrace.js", import.meta.url));
const jobModule = fileURLToPath(new URL("../chaos/memory-limit-job.ts", import.meta.url));

/** Every key once, then every key again: the job gives a key out when it comes for the second time. */
async function writeInput(folder: string, keys: number): Promise<void> {
  const file = createWriteStream(join(folder, "keys.ndjson"));
  for (let round = 0; round < 2; round++) {
    for (let from = 0; from < keys; from += keysPerLine) file.write(`{"from":${from},"keys":${keysPerLine}}\n`);
  }
  file.end();
  await finished(file);
}

async function problemOf(output: string, keys: number): Promise<string | undefined> {
  const seen = new Uint8Array(keys);
  let count = 0;
  for (const name of await readdir(output, { recursive: true })) {
    if (!name.endsWith(".ndjson")) continue;
    for (const [, id] of (await readFile(join(output, name), "utf8")).matchAll(/"id":(\d+)/g)) {
      seen[Number(id)] = 1;
      count++;
    }
  }
  return count === keys && seen.every((one) => one === 1) ? undefined : `${count} of ${keys} keys came out`;
}

async function stateRun(interval: string, keys: number): Promise<StateRun> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-checkpoint-state-"));
  const [input, output] = [join(folder, "input"), join(folder, "output")];
  try {
    await mkdir(input);
    await writeInput(input, keys);
    const measured = await measure([
      ...[process.execPath, runner, "run", jobModule, "--state-backend", "rocksdb", "--port", "0", "--log", "json"],
      ...["--storage", pathToFileURL(join(folder, "snapshots")).href, "--checkpoint-interval", interval],
      ...["--param", `input=${input}`, "--param", `output=${output}`, "--param", `noteLength=${noteLength}`],
    ]);
    const failed = measured.exitCode === 0 ? undefined : measured.output.slice(-400);
    return {
      cpuSeconds: measured.userSeconds + measured.systemSeconds,
      wallSeconds: (measured.endedMs - measured.startedMs) / 1000,
      peakBytes: measured.peakBytes,
      problem: failed ?? (await problemOf(output, keys)),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** False when an output was wrong. */
export async function checkpointStateSuite({ stateMegabytes, runs, json }: CheckpointStateOptions): Promise<boolean> {
  const keys = Math.ceil((stateMegabytes * 1e6) / noteLength / keysPerLine) * keysPerLine;
  const results = intervals.map((interval) => ({ interval, runs: [] as StateRun[] }));
  for (let round = 0; round < runs; round++) {
    for (const { interval, runs: of } of results) {
      const run = await stateRun(interval, keys);
      of.push(run);
      if (!json) console.log(`  each ${interval}: ${run.problem ?? `${run.cpuSeconds.toFixed(1)} s CPU, ${run.wallSeconds.toFixed(1)} s`}`);
    }
  }
  if (json) console.log(JSON.stringify({ keys, noteLength, results }));
  else print(stateMegabytes, keys, results);
  return results.every(({ runs: of }) => of.every(({ problem }) => problem === undefined));
}

function print(
  stateMegabytes: number,
  keys: number,
  results: readonly { readonly interval: string; readonly runs: readonly StateRun[] }[],
): void {
  const middle = (runs: readonly StateRun[], of: (run: StateRun) => number): number => median(runs.map(of));
  console.log(`\n${thousands(keys)} keys, ${thousands(stateMegabytes)} MB of state in RocksDB, each key written twice\n`);
  const without = results[0]?.runs ?? [];
  printTable(
    ["checkpoints", "keys/CPU-s", "ratio", "keys/s", "ratio", "peak RSS MiB"],
    results.map(({ interval, runs }) => {
      const [cpu, wall] = [middle(runs, (run) => run.cpuSeconds), middle(runs, (run) => run.wallSeconds)];
      return [
        interval === intervals[0] ? "only at the end" : `each ${interval}`,
        thousands((2 * keys) / cpu),
        (middle(without, (run) => run.cpuSeconds) / cpu).toFixed(2),
        thousands((2 * keys) / wall),
        (middle(without, (run) => run.wallSeconds) / wall).toFixed(2),
        thousands(middle(runs, (run) => run.peakBytes) / 2 ** 20),
      ];
    }),
  );
}
