// One measured run of a query by `millrace run`, as a user starts it.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WireKafkaClient } from "../../../runtime/src/connectors/kafka/client/wire-client.ts";
import { measure } from "../measure.ts";
import { createOutputTopic } from "./topics.ts";
import { countSums, type Expectations, type KafkaQuery, verifyOutput } from "./verify.ts";

const program = fileURLToPath(new URL("../../../runtime/bin/millrace.js", import.meta.url));
export const jobModule = (query: string): string => fileURLToPath(new URL(`jobs/${query}.ts`, import.meta.url));

export interface OurRun {
  readonly cpuSeconds: number;
  /** From the start of the process to its last output record; for count, to the end of the process. */
  readonly wallSeconds: number;
  /** From the start of the process to its first output record. */
  readonly firstOutputSeconds: number;
  readonly peakBytes: number;
  readonly brokerSeconds: number;
  readonly problem: string | undefined;
}

export interface OurRunOptions {
  readonly client: WireKafkaClient;
  readonly bootstrap: string;
  readonly brokerPid: number | undefined;
  readonly expectations: Expectations;
  /** Default 5 s. */
  readonly checkpointInterval?: string;
  /** Starts the command in another place, such as a container. */
  readonly around?: (command: readonly string[]) => readonly string[];
  /** A further check of an output topic. */
  readonly verify?: (query: "q0" | "q12e", topic: string) => Promise<string | undefined>;
}

/** The command line of `millrace run` for a bench job. */
export function runCommand(query: string, parameters: Readonly<Record<string, string>>, flags: readonly string[]): readonly string[] {
  const given = Object.entries(parameters).flatMap(([name, value]) => ["-p", `${name}=${value}`]);
  return [program, "run", jobModule(query), ...given, ...flags, "--port", "0", "--no-status"];
}

export async function ourRun(query: KafkaQuery, options: OurRunOptions): Promise<OurRun> {
  const { client, bootstrap, expectations } = options;
  const folder = await mkdtemp(join(tmpdir(), "millrace-kafka-"));
  const output = `bench-${query}-${Date.now()}`;
  const input = query === "count" ? "bids-wide" : "bids";
  if (query !== "count") await createOutputTopic(client, output);
  try {
    const parameters = { brokers: bootstrap, in: input, out: output, counts: join(folder, "counts") };
    const backend = query === "q0" ? "memory" : "rocksdb";
    const flags = [
      "--storage",
      `file://${folder}/snapshots`,
      "--checkpoint-interval",
      options.checkpointInterval ?? "5 s",
      "--state-backend",
      backend,
    ];
    const command = runCommand(query, parameters, flags);
    const measured = await measure(options.around?.(command) ?? command, { besidePid: options.brokerPid });
    let problem = measured.exitCode === 0 ? undefined : `ended with ${measured.exitCode}: ${measured.output.slice(-500)}`;
    // A restart repeats rows and leaves out what the sink of count had in memory: the run is no measurement, and says why.
    const restart = /^.*job failed, restarting.*$/m.exec(measured.output)?.[0];
    if (restart !== undefined) problem ??= `it restarted: ${restart}`;
    let { endedMs } = measured;
    let firstOutputSeconds = Number.NaN;
    if (query === "count") problem ??= await countProblem(expectations, input, parameters.counts);
    else if (problem === undefined) {
      const verdict = await verifyOutput(query, client, expectations, input, output);
      problem = verdict.problem ?? (await options.verify?.(query, output));
      endedMs = verdict.lastOutMs;
      firstOutputSeconds = (verdict.firstOutMs - measured.startedMs) / 1000;
    }
    return {
      cpuSeconds: measured.userSeconds + measured.systemSeconds,
      wallSeconds: (endedMs - measured.startedMs) / 1000,
      firstOutputSeconds,
      peakBytes: measured.peakBytes,
      brokerSeconds: measured.besideSeconds,
      problem,
    };
  } finally {
    if (query !== "count") await client.deleteTopics([output]).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

async function countProblem(expectations: Expectations, input: string, file: string): Promise<string | undefined> {
  const expected = await expectations.counts(input);
  const bytes = await readFile(file);
  const counts = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const got = countSums([...counts.entries()].filter(([, count]) => count > 0));
  const equal = got.keys === expected.keys && got.sum === expected.sum && got.hash === expected.hash;
  return equal ? undefined : `the last counts are ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`;
}
