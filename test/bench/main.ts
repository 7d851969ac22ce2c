// `npm run bench -- SUITE`: the benchmarks. Figures come from here, never from a timed test.
import { parseArgs } from "node:util";
import { tmpdir } from "node:os";
import { bigStateSuite } from "./big-state.ts";
import { checkpointSuite } from "./checkpoint.ts";
import { checkpointStateSuite } from "./checkpoint-state.ts";
import { coreSuite } from "./core.ts";
import { exchangeSuite } from "./exchange/suite.ts";
import { peerEngines } from "./kafka/peers.ts";
import { kafkaSuite } from "./kafka/suite.ts";
import { kafkaQueries } from "./kafka/verify.ts";
import { operatorSuite } from "./operator/suite.ts";
import { memorySuite } from "./memory.ts";
import { microbatchCases, microbatchSuite } from "./microbatch/suite.ts";
import { recoverySuite } from "./recovery.ts";
import { startSuite } from "./start.ts";
import { latencyCases, latencySuite } from "./latency/suite.ts";

const usage = `usage: npm run bench -- SUITE [--records N] [--runs N] [--json]

  core        the dataflow core: pass-through, filter, window, keyed count; memory and RocksDB state
              [--against FOLDER]: another checkout of this repository, in turn with this one
  exchange    a keyed exchange over threads, and over TCP as between processes, beside one thread
  big-state   RocksDB state larger than its heap budget: fill, capture, base, restore
              [--gb N] [--heap-mb N] [--value-bytes N] [--dir FOLDER]
  kafka       whole queries from topic to topic by \`millrace run\` (5,000,000 records): pass-through, window, keyed count
              [--queries q0,q12e,count] [--peers FOLDER] [--engines flink,ks,spark]
  latency     from sent to seen, at a steady rate: a bare consumer, stateless, window updates, exactly-once on S3
              [--cases floor,q0,updates,exactly-once] [--rate 10000] [--seconds 60] [--warm 10] [--peers FOLDER] [--engines flink,ks,spark]
  memory      the queries of suite kafka in containers of several sizes (Linux, with the right to make control groups)
              [--queries q0,q12e,count] [--limits 256,320,512] [--peers FOLDER]
  microbatch  DataFrame queries in micro-batches: windows from Kafka, latency by trigger, batches over many keys
              [--cases windows,trigger,keys] [--rate 10000] [--seconds 60] [--keys 5000000] [--peers FOLDER]
  start       process start to first output record [--peers FOLDER]
  checkpoint  a checkpoint each second against none [--queries q0,q12e,count] [--peers FOLDER]
              [--state-mb 1000]: with this much state in RocksDB, from files to files; needs no Kafka
  recovery    SIGKILL under load and an immediate restart: how long output stands still [--peers FOLDER]
  operator    StreamJobs on a real API server, pods stubbed out: memory, restart, requests when nothing changes, change to workload
              (needs what hack/cluster needs) [--jobs 5000] [--changes 200] [--seconds 60] [--p99-ms 5000]

Every run's output is checked, and a run with a wrong one has no figure. The median of several runs is shown.
`;

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} ${text}: give a positive whole number`);
  return value;
}

function chosen<const T extends string>(text: string, allowed: readonly T[], option: string): readonly T[] {
  return text.split(",").map((name) => {
    const found = allowed.find((each) => each === name);
    if (found === undefined) throw new Error(`--${option} ${name}: use ${allowed.join(", ")}`);
    return found;
  });
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    records: { type: "string" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    gb: { type: "string", default: "1" },
    "heap-mb": { type: "string", default: "256" },
    "value-bytes": { type: "string", default: "64" },
    dir: { type: "string", default: tmpdir() },
    queries: { type: "string", default: kafkaQueries.join() },
    engines: { type: "string", default: peerEngines.join() },
    peers: { type: "string" },
    cases: { type: "string" },
    keys: { type: "string", default: "5000000" },
    rate: { type: "string", default: "10000" },
    seconds: { type: "string", default: "60" },
    warm: { type: "string", default: "10" },
    limits: { type: "string", default: "256,320,512" },
    jobs: { type: "string", default: "5000" },
    changes: { type: "string", default: "200" },
    against: { type: "string" },
    "state-mb": { type: "string" },
    "p99-ms": { type: "string", default: "5000" },
  },
});
const { json, peers } = values;
const recordsOf = (byDefault: string): number => positive(values.records ?? byDefault, "records");
const runsOf = (): number => positive(values.runs, "runs");
const queriesOf = (): readonly (typeof kafkaQueries)[number][] => chosen(values.queries, kafkaQueries, "queries");

/** Each begins its suite; those that judge their figures give whether they are good. */
const suites: Readonly<Record<string, () => Promise<boolean> | Promise<void> | void>> = {
  core: () => coreSuite({ records: recordsOf("2000000"), runs: runsOf(), json, against: values.against }),
  exchange: () => exchangeSuite({ records: recordsOf("2000000"), runs: runsOf(), json }),
  "big-state": async () => {
    const passed = await bigStateSuite({
      stateBytes: Number(values.gb) * 1e9,
      heapBytes: positive(values["heap-mb"], "heap-mb") * 2 ** 20,
      valueBytes: positive(values["value-bytes"], "value-bytes"),
      directory: values.dir,
    });
    console.log(passed ? "passed" : "FAILED");
    return passed;
  },
  kafka: () =>
    kafkaSuite({
      records: recordsOf("5000000"),
      runs: runsOf(),
      json,
      queries: queriesOf(),
      peers,
      engines: chosen(values.engines, peerEngines, "engines"),
    }),
  latency: () =>
    latencySuite({
      cases: chosen(values.cases ?? latencyCases.join(), latencyCases, "cases"),
      rate: positive(values.rate, "rate"),
      seconds: positive(values.seconds, "seconds"),
      warmSeconds: positive(values.warm, "warm"),
      json,
      peers,
      engines: chosen(values.engines, peerEngines, "engines"),
    }),
  memory: () =>
    memorySuite({
      records: recordsOf("5000000"),
      queries: queriesOf(),
      limitsMebibytes: values.limits.split(",").map((limit) => positive(limit, "limits")),
      json,
      peers,
    }),
  microbatch: () =>
    microbatchSuite({
      cases: chosen(values.cases ?? microbatchCases.join(), microbatchCases, "cases"),
      records: recordsOf("5000000"),
      runs: runsOf(),
      rate: positive(values.rate, "rate"),
      seconds: positive(values.seconds, "seconds"),
      keys: positive(values.keys, "keys"),
      peers,
    }),
  start: () => startSuite({ runs: runsOf(), json, peers }),
  checkpoint: () =>
    values["state-mb"] === undefined
      ? checkpointSuite({ records: recordsOf("5000000"), runs: runsOf(), queries: queriesOf(), json, peers })
      : checkpointStateSuite({ stateMegabytes: positive(values["state-mb"], "state-mb"), runs: runsOf(), json }),
  recovery: () => recoverySuite({ runs: runsOf(), json, peers }),
  operator: async () => {
    const passed = await operatorSuite({
      jobs: positive(values.jobs, "jobs"),
      changes: positive(values.changes, "changes"),
      quietSeconds: positive(values.seconds, "seconds"),
      p99Ms: positive(values["p99-ms"], "p99-ms"),
    });
    console.log(passed ? "passed" : "FAILED");
    return passed;
  },
};

const [name, ...more] = positionals;
const suite = name !== undefined && more.length === 0 && Object.hasOwn(suites, name) ? suites[name] : undefined;
if (suite === undefined) process.stderr.write(usage);
if (suite === undefined || (await suite()) === false) process.exitCode = 1;
