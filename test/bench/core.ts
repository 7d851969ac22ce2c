// Suite core: records per CPU-second through the dataflow core, JSON parsing included, connectors apart.
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { median, printTable, thousands } from "./table.ts";

interface Figures {
  readonly query: string;
  readonly backend: string;
  readonly records: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly correct: boolean;
  readonly peakBytes: number;
}

const cases: readonly (readonly [query: string, backend: string, what: string])[] = [
  ["passthrough", "memory", "parse, project"],
  ["filter", "memory", "parse, filter by a function, project"],
  ["window", "memory", "10 s tumbling window, count and max per bidder"],
  ["window", "rocksdb", "the same"],
  ["count", "memory", "running count per auction, 2,000,000 keys"],
  ["count", "rocksdb", "the same, 256 MiB of heap for state"],
];

export interface CoreSuiteOptions {
  readonly records: number;
  readonly runs: number;
  readonly json: boolean;
  /** Another checkout of this repository, with its packages installed: its core runs in turn with this one. */
  readonly against: string | undefined;
}

interface Measured {
  readonly version: string;
  readonly query: string;
  readonly backend: string;
  readonly what: string;
  readonly runs: Figures[];
}

const here = "this";

export function coreSuite(options: CoreSuiteOptions): void {
  const scripts = new Map([[here, fileURLToPath(new URL("core-run.ts", import.meta.url))]]);
  if (options.against !== undefined) scripts.set("other", resolve(options.against, "test/bench/core-run.ts"));
  const measured = cases.flatMap(([query, backend, what]) => {
    const versions = [...scripts].map(([version, script]) => ({ version, script, query, backend, what, runs: [] as Figures[] }));
    for (let round = 0; round < options.runs; round++) {
      for (const { script, runs } of versions) runs.push(runOnce(script, query, backend, options.records));
    }
    return versions;
  });
  if (options.json) {
    process.stdout.write(`${JSON.stringify(measured)}\n`);
    return;
  }
  process.stdout.write(
    `core: ${thousands(options.records)} JSON bids of about 220 bytes from memory, median of ${options.runs}, every output checked, Node ${process.version}\n\n`,
  );
  print(measured, options);
}

function runOnce(script: string, query: string, backend: string, records: number): Figures {
  const run = JSON.parse(execFileSync(process.execPath, [script, query, backend, String(records)], { encoding: "utf8" })) as Figures;
  if (!run.correct) throw new Error(`${query} on ${backend} gave a wrong output: ${JSON.stringify(run)}`);
  return run;
}

function print(measured: readonly Measured[], { records, against }: CoreSuiteOptions): void {
  const middle = (runs: readonly Figures[], of: (run: Figures) => number): number => median(runs.map(of));
  const cpuOf = ({ runs }: Measured): number => middle(runs, (run) => run.cpuSeconds);
  printTable(
    [
      "query",
      "state",
      ...(against === undefined ? [] : ["version", "ratio"]),
      "records/CPU-s",
      "records/s",
      "CPU s",
      "peak RSS MiB",
      "what",
    ],
    measured.map((one) => {
      const { query, backend, what, version, runs } = one;
      const base = measured.find((each) => each.query === query && each.backend === backend && each.version === here) ?? one;
      return [
        query,
        backend,
        ...(against === undefined ? [] : [version, (cpuOf(base) / cpuOf(one)).toFixed(2)]),
        thousands(records / cpuOf(one)),
        thousands(records / middle(runs, (run) => run.wallSeconds)),
        cpuOf(one).toFixed(2),
        thousands(middle(runs, (run) => run.peakBytes) / 1024 / 1024),
        what,
      ];
    }),
  );
}
