// The tiers of `npm test`, in the order in which they run. To add one, add a row.
//
//   name       what --tier takes
//   what       one line for a person
//   steps      commands, run one after the other in the repository's root; the tier fails with the first that fails.
//              The first word is a program: `node`, `node22`, `node24`, or one of node_modules/.bin.
//   lane       tiers without one run first, one after the other. Those of the two lanes then run beside each other: "system" has all that needs
//              servers, "unit" computes at low priority; what else there is goes where the lane ends sooner
//   urgent     true in the lane "unit" for processes that wait for each other: not at low priority
//   needs      real servers that must be up: "kafka", "s3", "postgres", "cluster". Started before the first tier that needs them, ended
//              after the last one
//   variables  of the environment of its steps
//   counts     "tests": steps are vitest runs, their tests count; otherwise the tier counts as one
//   minutes    longer than this and it has failed

/**
 * What a Node version can change in the library is what it takes from Node and from native modules, and how V8 runs the same code; every test of the
 * library runs on each. Random tests look for mistakes of ours, which are the same on all of them: there they only need enough cases for
 * every branch, and Node 26 looks for the rest.
 */
const otherNode = { MILLRACE_CASES: "0.2" };

/** Tests that wait for about as long as they compute; not beside the cluster, whose servers would miss their heartbeats. */
const twoWorkers = ["--maxWorkers", "2"];

/** Vitest over some files with one of the supported Nodes. */
const vitest = (node, project, ...more) => [node, "node_modules/vitest/vitest.mjs", "run", "--project", project, ...more];

export const LANES = ["unit", "system"];

export const tiers = [
  {
    name: "types",
    what: "the package builds; every file type-checks",
    steps: [
      ["node", "hack/build.mjs"],
      ["tsc", "--noEmit", "-p", "tsconfig.json"],
    ],
    minutes: 10,
  },
  { name: "lint", what: "oxlint, with types", steps: [["oxlint", "--type-aware", "--deny-warnings"]], minutes: 10 },
  { name: "format", what: "biome's formatting", steps: [["biome", "format", "."]], minutes: 5 },
  { name: "unused", what: "unused files, exports and dependencies (knip)", steps: [["knip"]], minutes: 5 },
  { name: "lockfile", what: "package-lock.json serves every platform", steps: [["node", "hack/lockfile.mjs", "--check"]], minutes: 1 },
  {
    name: "package",
    what: "the published package: its manifest and types, what an install brings, and that it works",
    steps: [
      ["node", "hack/build.mjs"],
      ["node", "hack/package.mjs"],
    ],
    minutes: 10,
  },
  {
    name: "tidy",
    what: "imports, file lengths, headers, nothing skipped",
    steps: [vitest("node", "unit", "test/tidy")],
    counts: "tests",
    minutes: 5,
  },
  {
    name: "components",
    what: "Kafka, an S3 server, Kubernetes and helm are in the cache",
    steps: [["node", "hack/real/install.mjs"]],
    minutes: 60,
  },
  {
    name: "command",
    what: "the millrace command as a process: bad input, kills, savepoints",
    lane: "unit",
    urgent: true,
    steps: [vitest("node", "unit", "test/cli/", ...twoWorkers)],
    counts: "tests",
    minutes: 20,
  },
  {
    name: "unit",
    what: "unit tests on Node 26",
    lane: "unit",
    steps: [vitest("node", "unit", "src/", "test/unit/")],
    counts: "tests",
    minutes: 30,
  },
  {
    name: "docs",
    what: "the examples of the documentation, and that its texts show them as they are",
    lane: "unit",
    steps: [vitest("node", "unit", "test/docs/", "docs/examples/")],
    counts: "tests",
    minutes: 10,
  },
  {
    name: "golden",
    what: "Nexmark: whole = with checkpoints = resumed at another parallelism = DuckDB",
    lane: "unit",
    steps: [vitest("node", "unit", "test/nexmark/")],
    counts: "tests",
    minutes: 20,
  },
  {
    name: "simulation",
    what: "the operator over a simulated cluster: every scenario with every fault at every write",
    lane: "unit",
    steps: [vitest("node", "unit", "test/simulation/")],
    counts: "tests",
    minutes: 30,
  },
  {
    name: "node22",
    what: "the library's unit tests on Node 22",
    lane: "unit",
    steps: [vitest("node22", "unit", "runtime/src", ...twoWorkers)],
    variables: otherNode,
    counts: "tests",
    minutes: 20,
  },
  {
    name: "node24",
    what: "the library's unit tests on Node 24",
    lane: "unit",
    steps: [vitest("node24", "unit", "runtime/src", ...twoWorkers)],
    variables: otherNode,
    counts: "tests",
    minutes: 20,
  },
  {
    name: "demo",
    what: "the demo, to zero differences",
    lane: "unit",
    steps: [["node", "hack/demo.mjs"]],
    minutes: 10,
  },
  {
    name: "bench",
    what: "the benchmarks run and their outputs are right, short form",
    lane: "unit",
    steps: [["node", "test/bench/main.ts", "core", "--records", "100000", "--runs", "1"]],
    minutes: 10,
  },
  {
    name: "cluster-backpressure",
    what: "a slow vertex behind a fast source: flat memory, complete checkpoints, short form",
    lane: "unit",
    urgent: true,
    steps: [["node", "test/chaos/cluster-backpressure.ts", "--minutes", "1", "--look-seconds", "20"]],
    minutes: 15,
  },
  {
    name: "real",
    what: "tests on a real Kafka, a real S3 server and a real PostgreSQL",
    lane: "system",
    steps: [vitest("node", "real")],
    needs: ["kafka", "s3", "postgres"],
    counts: "tests",
    minutes: 30,
  },
  {
    name: "cluster",
    what: "the chart and the operator on a real Kubernetes, with a real Kafka and S3",
    lane: "system",
    steps: [vitest("node", "cluster")],
    needs: ["cluster"],
    counts: "tests",
    minutes: 60,
  },
  {
    name: "exactly-once",
    what: "a job killed again and again on a real Kafka and S3, short form",
    lane: "system",
    steps: [["node", "test/chaos/exactly-once.ts", "--records", "300000", "--kills", "4", "--rate", "80000"]],
    needs: ["kafka", "s3"],
    minutes: 15,
  },
  {
    name: "microbatch",
    what: "drivers and executors of micro-batches killed again and again on a real Kafka and S3, short form",
    lane: "system",
    steps: [
      ["node", "test/chaos/microbatch.ts", "--records", "60000", "--keys", "100", "--batch", "6000", "--kills", "3"],
      [
        ...["node", "test/chaos/microbatch.ts", "--program", "dataflow"],
        ...["--records", "60000", "--keys", "100", "--batch", "6000", "--kills", "3"],
      ],
      [
        ...["node", "test/chaos/microbatch-executors.ts", "--records", "120000", "--keys", "100", "--batch", "4000"],
        ...["--seconds", "30", "--kill-every", "6", "--outage", "8"],
      ],
    ],
    needs: ["kafka", "s3"],
    minutes: 10,
  },
  {
    name: "embedded",
    what: "a service with a job inside, its processes killed again and again on a real Kafka, short form",
    lane: "system",
    steps: [
      ["node", "test/chaos/embedded.ts", "--records", "60000", "--seconds", "25", "--partitions", "6", "--disk"],
      ["node", "test/chaos/embedded-backlog.ts", "--records", "300000"],
      ["node", "test/chaos/embedded-smoke.ts", "--keys", "1000", "--per-key", "6", "--seconds", "12"],
      ["node", "test/chaos/embedded-full-disk.ts"],
    ],
    needs: ["kafka"],
    minutes: 10,
  },
  {
    name: "cluster-kills",
    what: "a job on several processes, a random one of which is killed again and again, short form",
    lane: "system",
    steps: [["node", "test/chaos/cluster-kills.ts", "--minutes", "0.5", "--every", "8", "--rate", "2000"]],
    needs: ["kafka", "s3"],
    minutes: 15,
  },
  {
    name: "cluster-rescale",
    what: "another parallelism while the job runs, with windows and sessions open, short form",
    lane: "system",
    steps: [["node", "test/chaos/cluster-rescale.ts", "--rate", "1500", "--seconds", "3"]],
    needs: ["kafka", "s3"],
    minutes: 15,
  },
  {
    name: "cluster-freeze",
    what: "processes that stand still and networks that work one way, short form",
    lane: "system",
    steps: [["node", "test/chaos/cluster-freeze.ts", "--seconds", "20", "--rate", "1000"]],
    needs: ["kafka", "s3"],
    minutes: 20,
  },
];
