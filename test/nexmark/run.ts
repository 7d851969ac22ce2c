// `node test/nexmark/run.ts --query 7 --events 100000`: runs a Nexmark query, prints how fast it was, and checks its result.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { memorySink } from "../../runtime/src/connectors/memory/index.ts";
import { memoryBackend } from "../../runtime/src/state/memory/memory-backend.ts";
import { rocksdbBackend } from "../../runtime/src/state/rocksdb/rocksdb-backend.ts";
import { queries } from "./queries/all.ts";
import { type NexmarkInput, type NexmarkQuery, nexmarkJob } from "./queries/tables.ts";
import { references } from "./reference/all.ts";
import { NexmarkDuck } from "./reference/events.ts";
import { q12Totals } from "./reference/q12.ts";
import { differences, referenceLines, resultLines, totalLines } from "./result.ts";
import { QueryRun } from "./run-query.ts";

interface Options {
  readonly query: "all" | number;
  readonly events: number;
  readonly parallelism: number;
  readonly splits: number;
  readonly seed: number;
  readonly eventTimeRate: number;
  readonly checkpointInterval: number;
  readonly backend: "memory" | "rocksdb";
  readonly form: NonNullable<NexmarkInput["form"]>;
}

const usage = `node test/nexmark/run.ts --query <number or all> [options]

Runs Nexmark queries of the DSL over generated events and compares their results with DuckDB's.

  --query <n>                one of ${queries.map(({ number }) => number).join(", ")}; or all
  --events <n>               events of all three tables together (100000)
  --parallelism <n>          instances of each operator (1)
  --splits <n>               splits of each source (4)
  --seed <n>                 other seeds give other events (0)
  --event-time-rate <n>      events per second of event time (1000)
  --checkpoint-interval <n>  ms between two checkpoints; 0 for none but the last (1000)
  --backend <name>           where state is kept: memory, rocksdb (memory)
  --form <form>              tables: a source for each table; events: one source of all events (tables)
`;

/** Ends the process with what is wrong and how the command is used. */
function refuse(problem: string): never {
  process.stderr.write(`${problem}\n\n${usage}`);
  process.exit(2);
}

const text = { type: "string" } as const;
const known = {
  query: text,
  events: text,
  parallelism: text,
  splits: text,
  seed: text,
  "event-time-rate": text,
  "checkpoint-interval": text,
  backend: text,
  form: text,
  help: { type: "boolean" },
} as const;
type OptionName = Exclude<keyof typeof known, "help">;

function parsed(): ReturnType<typeof parseArgs<{ options: typeof known }>>["values"] {
  try {
    return parseArgs({ options: known }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function readOptions(): Options {
  const values = parsed();
  if (values.help === true) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const given = (name: OptionName, fallback: string): string => values[name] ?? fallback;
  const whole = (name: OptionName, fallback: number, least: number): number => {
    const value = Number(given(name, String(fallback)));
    return Number.isInteger(value) && value >= least ? value : refuse(`--${name} must be a whole number, ${least} or more`);
  };
  const choice = <T extends string>(name: OptionName, choices: readonly [T, ...T[]]): T =>
    choices.find((value) => value === given(name, choices[0])) ?? refuse(`--${name} must be ${choices.join(" or ")}`);
  const query = given("query", "");
  if (query !== "all" && !queries.some(({ number }) => String(number) === query)) refuse("--query must be the number of a query, or all");
  return {
    query: query === "all" ? query : Number(query),
    events: whole("events", 100_000, 1),
    parallelism: whole("parallelism", 1, 1),
    splits: whole("splits", 4, 1),
    seed: whole("seed", 0, 0),
    eventTimeRate: whole("event-time-rate", 1000, 1),
    checkpointInterval: whole("checkpoint-interval", 1000, 0),
    backend: choice("backend", ["memory", "rocksdb"]),
    form: choice("form", ["tables", "events"]),
  };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** True when the result is what it should be. */
async function runQuery(query: NexmarkQuery, options: Options, duck: NexmarkDuck, directory: string): Promise<boolean> {
  const { form, parallelism, backend, checkpointInterval } = options;
  const sink = memorySink();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const run = QueryRun.start(nexmarkJob(query, { generator: generatorOf(options), form }, sink), {
    parallelism,
    stateBackend: backend === "memory" ? memoryBackend() : rocksdbBackend(),
    directory: join(directory, `q${query.number}`),
    checkpointIntervalMs: checkpointInterval === 0 ? Infinity : checkpointInterval,
  });
  await run.ended();
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const read = (run.supervisor.status().run?.operators ?? [])
    .filter(({ kind }) => kind.startsWith("source."))
    .reduce((sum, { subtasks }) => sum + subtasks.reduce((rows, { rowsIn }) => rows + rowsIn, 0), 0);
  const wrong = await check(query, sink, duck);
  const perSecond = Math.round(read / seconds).toLocaleString("en-US");
  const perCpuSecond = Math.round(read / ((cpu.user + cpu.system) / 1e6)).toLocaleString("en-US");
  say(`query ${query.number}, ${query.title}: ${read.toLocaleString("en-US")} rows read in ${seconds.toFixed(2)} s`);
  say(`  ${perSecond} rows per second, ${perCpuSecond} per CPU-second; ${sink.written.length.toLocaleString("en-US")} rows written`);
  say(wrong.length === 0 ? "  the result is right" : `  the result is wrong:\n${wrong.map((line) => `    ${line}`).join("\n")}`);
  return wrong.length === 0;
}

const generatorOf = ({ events, splits, seed, eventTimeRate }: Options): NexmarkInput["generator"] => ({
  events,
  splits,
  seed,
  eventTimeRate,
});

async function check(query: NexmarkQuery, sink: ReturnType<typeof memorySink>, duck: NexmarkDuck): Promise<readonly string[]> {
  // The windows of query 12 are those of the clock: only what they add up to can be known.
  if (query.number === 12) return differences(totalLines(sink, "bidder", "bids"), referenceLines(await q12Totals(duck)));
  const reference = references.get(query.number);
  if (reference === undefined) throw new Error(`query ${query.number} has no reference`);
  return differences(resultLines(query, sink), referenceLines(await reference(duck)));
}

async function main(options: Options): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "millrace-nexmark-"));
  const duck = await NexmarkDuck.open(generatorOf(options));
  try {
    let allRight = true;
    for (const query of queries) {
      if (options.query !== "all" && options.query !== query.number) continue;
      allRight = (await runQuery(query, options, duck, directory)) && allRight;
    }
    process.exitCode = allRight ? 0 : 1;
  } finally {
    duck.close();
    await rm(directory, { recursive: true, force: true });
  }
}

await main(readOptions());
