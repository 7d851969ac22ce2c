// Suite checkpoint: what a checkpoint each second costs, against none, in turn on the same input.
import { realKafka } from "../support/real.ts";
import { type OurRun, ourRun } from "./kafka/our-run.ts";
import { Peers } from "./kafka/peers.ts";
import { fillInputTopics, openClient } from "./kafka/topics.ts";
import { Expectations, type KafkaQuery } from "./kafka/verify.ts";
import { median, printTable, thousands } from "./table.ts";

export interface CheckpointSuiteOptions {
  readonly records: number;
  readonly runs: number;
  readonly queries: readonly KafkaQuery[];
  readonly json: boolean;
  readonly peers: string | undefined;
}

const intervals = ["1 h", "1 s"] as const;

export async function checkpointSuite(options: CheckpointSuiteOptions): Promise<boolean> {
  const bootstrap = options.peers === undefined ? realKafka().bootstrap.join(",") : (await Peers.open(options.peers)).bootstrap;
  const client = openClient(bootstrap);
  try {
    await fillInputTopics(client, options.records);
    const ours = { client, bootstrap, brokerPid: undefined, expectations: new Expectations(client) };
    const results: { readonly query: KafkaQuery; readonly interval: string; readonly runs: readonly OurRun[] }[] = [];
    for (const query of options.queries) {
      const runs = new Map(intervals.map((interval) => [interval, [] as OurRun[]]));
      for (let round = 0; round < options.runs; round++) {
        for (const interval of intervals) runs.get(interval)?.push(await ourRun(query, { ...ours, checkpointInterval: interval }));
      }
      for (const [interval, of] of runs) results.push({ query, interval, runs: of });
    }
    if (options.json) process.stdout.write(`${JSON.stringify({ records: options.records, results })}\n`);
    else print(options, results);
    return results.every(({ runs }) => runs.every((each) => each.problem === undefined));
  } finally {
    await client.close();
  }
}

function print(
  options: CheckpointSuiteOptions,
  results: readonly { readonly query: KafkaQuery; readonly interval: string; readonly runs: readonly OurRun[] }[],
): void {
  process.stdout.write(`checkpoint: ${thousands(options.records)} bids, median of ${options.runs}, in turn, every output checked\n\n`);
  const middle = (runs: readonly OurRun[], of: (run: OurRun) => number): number => median(runs.map(of));
  printTable(
    ["query", "checkpoints", "records/CPU-s", "ratio", "records/s", "ratio"],
    results.map(({ query, interval, runs }) => {
      const problem = runs.find((run) => run.problem !== undefined)?.problem;
      const without = results.find((each) => each.query === query && each.interval === intervals[0])?.runs ?? runs;
      const [cpu, wall] = [middle(runs, (run) => run.cpuSeconds), middle(runs, (run) => run.wallSeconds)];
      if (problem !== undefined) return [query, interval, "wrong output"];
      return [
        query,
        interval === intervals[0] ? "only at the end" : `each ${interval}`,
        thousands(options.records / cpu),
        (middle(without, (run) => run.cpuSeconds) / cpu).toFixed(2),
        thousands(options.records / wall),
        (middle(without, (run) => run.wallSeconds) / wall).toFixed(2),
      ];
    }),
  );
}
