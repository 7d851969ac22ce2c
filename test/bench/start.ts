// Suite start: from the start of the process to its first output record at the broker.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realKafka } from "../support/real.ts";
import { produceBlock } from "../support/produce.ts";
import { generateBids } from "./bids.ts";
import { runCommand } from "./kafka/our-run.ts";
import { Peers } from "./kafka/peers.ts";
import { createOutputTopic, openClient, partitionCount } from "./kafka/topics.ts";
import { Expectations, verifyOutput } from "./kafka/verify.ts";
import { measure } from "./measure.ts";
import { median, printTable } from "./table.ts";

export interface StartSuiteOptions {
  readonly runs: number;
  readonly json: boolean;
  readonly peers: string | undefined;
}

const records = 100_000;

export async function startSuite(options: StartSuiteOptions): Promise<boolean> {
  const bootstrap = options.peers === undefined ? realKafka().bootstrap.join(",") : (await Peers.open(options.peers)).bootstrap;
  const client = openClient(bootstrap);
  const input = `bench-start-in-${Date.now()}`;
  const results: {
    readonly query: string;
    readonly firstOutputMs: number[];
    readonly cpuSeconds: number[];
    problem: string | undefined;
  }[] = [];
  try {
    await client.createTopics([{ name: input, partitions: partitionCount, replicationFactor: 1, configs: {} }]);
    await produceBlock(client, input, partitionCount, generateBids({ count: records, auctions: 10_000, seed: 5 }));
    for (const query of ["q0", "q12e"] as const) {
      const expectations = new Expectations(client);
      const result = { query, firstOutputMs: [] as number[], cpuSeconds: [] as number[], problem: undefined as string | undefined };
      for (let run = 0; run < options.runs; run++) {
        const output = `bench-start-${query}-${Date.now()}`;
        const folder = await mkdtemp(join(tmpdir(), "millrace-start-"));
        await createOutputTopic(client, output);
        const backend = query === "q0" ? "memory" : "rocksdb";
        const flags = ["--storage", `file://${folder}`, "--checkpoint-interval", "5 s", "--state-backend", backend];
        const measured = await measure(runCommand(query, { brokers: bootstrap, in: input, out: output }, flags));
        const verdict = await verifyOutput(query, client, expectations, input, output);
        if (measured.exitCode !== 0) result.problem ??= measured.output.slice(-400);
        result.problem ??= verdict.problem;
        result.firstOutputMs.push(verdict.firstOutMs - measured.startedMs);
        result.cpuSeconds.push(measured.userSeconds + measured.systemSeconds);
        await client.deleteTopics([output]);
        await rm(folder, { recursive: true, force: true });
      }
      results.push(result);
    }
  } finally {
    await client.deleteTopics([input]).catch(() => undefined);
    await client.close();
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ records, results })}\n`);
  else {
    process.stdout.write(`start: process start to first output record, ${options.runs} runs, every output checked\n\n`);
    printTable(
      ["query", "median ms", "least ms", "most ms", "CPU s of the whole run"],
      results.map(({ query, firstOutputMs, cpuSeconds, problem }) =>
        problem === undefined
          ? [
              query,
              ...[median(firstOutputMs), Math.min(...firstOutputMs), Math.max(...firstOutputMs)].map(String),
              median(cpuSeconds).toFixed(2),
            ]
          : [query, "wrong output"],
      ),
    );
  }
  return results.every((each) => each.problem === undefined);
}
