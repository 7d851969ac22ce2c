// Suite memory: the queries of suite kafka in containers of several sizes. A process must keep to its limit by itself: none is killed.
import { realKafka } from "../support/real.ts";
import { ourRun } from "./kafka/our-run.ts";
import { Peers } from "./kafka/peers.ts";
import { fillInputTopics, openClient } from "./kafka/topics.ts";
import { Expectations, type KafkaQuery } from "./kafka/verify.ts";
import { limitedGroup } from "./memory-cgroup.ts";
import { printTable, thousands } from "./table.ts";

export interface MemorySuiteOptions {
  readonly records: number;
  readonly queries: readonly KafkaQuery[];
  readonly limitsMebibytes: readonly number[];
  readonly json: boolean;
  readonly peers: string | undefined;
}

export async function memorySuite(options: MemorySuiteOptions): Promise<boolean> {
  const bootstrap = options.peers === undefined ? realKafka().bootstrap.join(",") : (await Peers.open(options.peers)).bootstrap;
  const client = openClient(bootstrap);
  try {
    await fillInputTopics(client, options.records);
    const ours = { client, bootstrap, brokerPid: undefined, expectations: new Expectations(client) };
    const results = [];
    for (const query of options.queries) {
      for (const limitMebibytes of options.limitsMebibytes) {
        const group = limitedGroup(`millrace-bench-${process.pid}`, limitMebibytes * 2 ** 20);
        try {
          const run = await ourRun(query, { ...ours, around: (command) => group.inside(command) });
          const problem = group.killed ? "killed: above its limit" : run.problem;
          results.push({ query, limitMebibytes, groupPeakBytes: group.peakBytes, ...run, problem });
          process.stderr.write(`${query} in ${limitMebibytes} MiB: ${problem ?? "good"}\n`);
        } finally {
          group.remove();
        }
      }
    }
    if (options.json) process.stdout.write(`${JSON.stringify({ records: options.records, results })}\n`);
    else {
      process.stdout.write(`memory: ${thousands(options.records)} bids, every output checked\n\n`);
      printTable(
        ["query", "limit MiB", "peak of the group MiB", "peak RSS MiB", "records/CPU-s"],
        results.map(({ query, limitMebibytes, groupPeakBytes, peakBytes, cpuSeconds, problem }) =>
          problem === undefined
            ? [
                query,
                String(limitMebibytes),
                thousands(groupPeakBytes / 2 ** 20),
                thousands(peakBytes / 2 ** 20),
                thousands(options.records / cpuSeconds),
              ]
            : [query, String(limitMebibytes), problem.slice(0, 60)],
        ),
      );
    }
    return results.every((each) => each.problem === undefined);
  } finally {
    await client.close();
  }
}
