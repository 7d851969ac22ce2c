// Suite core: records per CPU-second through the dataflow core, JSON parsing included, connectors apart.
import { execFileSync } from "node:child_process";
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

export function coreSuite(options: { readonly records: number; readonly runs: number; readonly json: boolean }): void {
  const script = fileURLToPath(new URL("core-run.ts", import.meta.url));
  const measured = cases.map(([query, backend, what]) => {
    const runs = Array.from(
      { length: options.runs },
      () => JSON.parse(execFileSync(process.execPath, [script, query, backend, String(options.records)], { encoding: "utf8" })) as Figures,
    );
    const wrong = runs.find((run) => !run.correct);
    if (wrong !== undefined) throw new Error(`${query} on ${backend} gave a wrong output: ${JSON.stringify(wrong)}`);
    return { query, backend, what, runs };
  });
  if (options.json) {
    process.stdout.write(`${JSON.stringify(measured)}\n`);
    return;
  }
  process.stdout.write(
    `core: ${thousands(options.records)} JSON bids of about 220 bytes from memory, median of ${options.runs}, every output checked, Node ${process.version}\n\n`,
  );
  printTable(
    ["query", "state", "records/CPU-s", "records/s", "CPU s", "peak RSS MiB", "what"],
    measured.map(({ query, backend, what, runs }) => {
      const cpu = median(runs.map((run) => run.cpuSeconds));
      const wall = median(runs.map((run) => run.wallSeconds));
      const peak = median(runs.map((run) => run.peakBytes));
      return [
        query,
        backend,
        thousands(options.records / cpu),
        thousands(options.records / wall),
        cpu.toFixed(2),
        thousands(peak / 1024 / 1024),
        what,
      ];
    }),
  );
}
