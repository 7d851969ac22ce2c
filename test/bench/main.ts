// `npm run bench -- SUITE`: the benchmarks. Figures come from here, never from a timed test.
import { Command, InvalidArgumentError } from "commander";
import { coreSuite } from "./core.ts";

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("give a positive whole number");
  return value;
}

const program = new Command("bench").description("Benchmarks; every run's output is checked, and a run with a wrong one has no figure");
program
  .command("core")
  .description("the dataflow core: pass-through, filter, window, keyed count; memory and RocksDB state")
  .option("--records <n>", "records per run", positive, 2_000_000)
  .option("--runs <n>", "runs of each, of which the median is shown", positive, 3)
  .option("--json", "raw figures as JSON", false)
  .action((options: { readonly records: number; readonly runs: number; readonly json: boolean }) => coreSuite(options));
await program.parseAsync();
