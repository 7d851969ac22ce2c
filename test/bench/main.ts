// `npm run bench -- SUITE`: the benchmarks. Figures come from here, never from a timed test.
import { parseArgs } from "node:util";
import { coreSuite } from "./core.ts";

const usage = `usage: npm run bench -- SUITE [--records N] [--runs N] [--json]

  core   the dataflow core: pass-through, filter, window, keyed count; memory and RocksDB state

Every run's output is checked, and a run with a wrong one has no figure. The median of several runs is shown.
`;

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} ${text}: give a positive whole number`);
  return value;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    records: { type: "string", default: "2000000" },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
if (positionals.length === 1 && positionals[0] === "core") {
  coreSuite({ records: positive(values.records, "records"), runs: positive(values.runs, "runs"), json: values.json });
} else {
  process.stderr.write(usage);
  process.exitCode = 1;
}
