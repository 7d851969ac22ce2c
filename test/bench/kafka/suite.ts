// Suite kafka: whole queries from topic to topic through `millrace run`, on request beside other engines on the same topics in turn.
import { realKafka } from "../../support/real.ts";
import { median, printTable, thousands } from "../table.ts";
import { type OurRun, ourRun } from "./our-run.ts";
import { type PeerEngine, type PeerRun, Peers } from "./peers.ts";
import { fillInputTopics, openClient, recordsIn } from "./topics.ts";
import { Expectations, type KafkaQuery } from "./verify.ts";

export interface KafkaSuiteOptions {
  readonly records: number;
  readonly runs: number;
  readonly json: boolean;
  readonly queries: readonly KafkaQuery[];
  /** The folder of the peers' programs. */
  readonly peers: string | undefined;
  readonly engines: readonly PeerEngine[];
}

interface Result {
  readonly query: KafkaQuery;
  readonly engine: "millrace" | PeerEngine;
  readonly runs: readonly (OurRun | PeerRun)[];
}

export async function kafkaSuite(options: KafkaSuiteOptions): Promise<boolean> {
  const peers = options.peers === undefined ? undefined : await Peers.open(options.peers);
  const kafka = peers === undefined ? realKafka() : undefined;
  const bootstrap = peers?.bootstrap ?? kafka?.bootstrap.join(",") ?? "";
  const client = openClient(bootstrap);
  try {
    if (peers === undefined) await fillInputTopics(client, options.records);
    else if ((await recordsIn(client, "bids")) !== options.records || (await recordsIn(client, "bids-wide")) !== options.records)
      await peers.generate(options.records);
    const expectations = new Expectations(client);
    const verify = peers === undefined ? undefined : (query: "q0" | "q12e", topic: string) => peers.verify(query, topic, options.records);
    const ours = {
      client,
      bootstrap,
      brokerPid: peers?.brokerPid,
      expectations,
      ...(verify === undefined ? {} : { verify }),
    };
    const results: Result[] = [];
    for (const query of options.queries) {
      const engines = ["millrace", ...(peers === undefined ? [] : options.engines)] as const;
      const runs = new Map(engines.map((engine) => [engine, [] as (OurRun | PeerRun)[]]));
      // In turn, so that a noisy minute meets all of them.
      for (let round = 0; round < options.runs; round++) {
        for (const engine of engines) {
          const measured = engine === "millrace" ? await ourRun(query, ours) : await (peers as Peers).run(engine, query, options.records);
          runs.get(engine)?.push(measured);
          process.stderr.write(
            `${query} ${engine}: ${measured.cpuSeconds.toFixed(2)} CPU s${measured.problem === undefined ? "" : ` ${measured.problem}`}\n`,
          );
        }
      }
      for (const [engine, of] of runs) results.push({ query, engine, runs: of });
    }
    if (options.json) process.stdout.write(`${JSON.stringify({ records: options.records, results })}\n`);
    else print(options, results);
    return results.every(({ runs }) => runs.every((each) => each.problem === undefined));
  } finally {
    await client.close();
  }
}

interface Figures {
  readonly cpu: number;
  readonly wall: number;
  readonly peak: number;
}

function figuresOf(runs: Result["runs"]): Figures | undefined {
  if (runs.some((each) => each.problem !== undefined)) return undefined;
  return {
    cpu: median(runs.map((each) => each.cpuSeconds)),
    wall: median(runs.map((each) => each.wallSeconds)),
    peak: median(runs.map((each) => each.peakBytes)),
  };
}

function print(options: KafkaSuiteOptions, results: readonly Result[]): void {
  process.stdout.write(
    `kafka: ${thousands(options.records)} JSON bids of about 220 bytes from topic to topic, median of ${options.runs}, every output checked, Node ${process.version}\n\n`,
  );
  const ours = new Map(results.filter((each) => each.engine === "millrace").map((each) => [each.query, figuresOf(each.runs)]));
  printTable(
    ["query", "engine", "records/CPU-s", "ratio", "records/s", "ratio", "CPU s", "peak RSS MiB", "ratio"],
    results.map(({ query, engine, runs }) => {
      const figures = figuresOf(runs);
      if (figures === undefined) return [query, engine, "wrong output"];
      const best = ours.get(query);
      const ratio = (value: number | undefined): string => (value === undefined || engine === "millrace" ? "" : `${value.toFixed(1)}x`);
      return [
        query,
        engine,
        thousands(options.records / figures.cpu),
        ratio(best && figures.cpu / best.cpu),
        thousands(options.records / figures.wall),
        ratio(best && figures.wall / best.wall),
        figures.cpu.toFixed(2),
        thousands(figures.peak / 2 ** 20),
        ratio(best && figures.peak / best.peak),
      ];
    }),
  );
  if (results.length > ours.size) process.stdout.write("\nratio: how many times better Millrace is in that column\n");
}
