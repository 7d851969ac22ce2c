// Suite exchange: what it costs to spread a job over threads and processes, beside the same job in one thread.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median, printTable, thousands } from "../table.ts";

interface Figures {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly bytesOut: number;
  readonly correct: boolean;
}

const queries = [
  ["window", "10 s tumbling window per bidder: three columns are exchanged"],
  ["rows", "a function per row, keyed by bidder: whole rows are exchanged"],
] as const;

/** Parallelism, slots, and how slots reach each other. */
const shapes = [
  [1, 1, "ports", "one instance, one thread"],
  [2, 1, "ports", "two instances, one thread"],
  [2, 2, "ports", "two threads"],
  [2, 2, "tcp", "two threads by TCP, as between processes"],
  [4, 4, "ports", "four threads"],
] as const;

export function exchangeSuite(options: { readonly records: number; readonly runs: number; readonly json: boolean }): void {
  const script = fileURLToPath(new URL("run.ts", import.meta.url));
  const measured = queries.flatMap(([query, what]) =>
    shapes.map(([parallelism, slots, wires, shape]) => {
      const command = [script, query, String(parallelism), String(slots), wires, String(options.records)];
      const runs = Array.from(
        { length: options.runs },
        () => JSON.parse(execFileSync(process.execPath, command, { encoding: "utf8" })) as Figures,
      );
      const wrong = runs.find((run) => !run.correct);
      if (wrong !== undefined) throw new Error(`${query} in ${shape} gave a wrong output: ${JSON.stringify(wrong)}`);
      const cpuSeconds = median(runs.map((run) => run.cpuSeconds));
      const wallSeconds = median(runs.map((run) => run.wallSeconds));
      return { query, what, shape, cpuSeconds, wallSeconds, bytesOut: median(runs.map((run) => run.bytesOut)) };
    }),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify(measured)}\n`);
    return;
  }
  process.stdout.write(
    `exchange: ${thousands(options.records)} JSON bids of about 220 bytes from memory, median of ${options.runs}, every output checked, Node ${process.version}\n\n`,
  );
  printTable(
    ["query", "records/CPU-s", "of one thread", "records/s", "bytes/record", "shape"],
    measured.map(({ query, shape, cpuSeconds, wallSeconds, bytesOut }) => {
      const alone = measured.find((one) => one.query === query)?.cpuSeconds ?? cpuSeconds;
      return [
        query,
        thousands(options.records / cpuSeconds),
        `${Math.round((100 * alone) / cpuSeconds)} %`,
        thousands(options.records / wallSeconds),
        (bytesOut / options.records).toFixed(1),
        shape,
      ];
    }),
  );
  for (const [query, what] of queries) process.stdout.write(`\n${query}: ${what}`);
  process.stdout.write("\n");
}
