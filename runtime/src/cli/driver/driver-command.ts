// `millrace driver`: the driver of a query in batches as the operator runs it: one run, known by its number, which ends with its process.
import { Command } from "commander";
import { parsePort } from "../cluster/jobmanager-command.ts";
import { addQueryOptions, type QueryFlags } from "../frames/query-options.ts";

export interface DriverFlags extends QueryFlags {
  readonly rpcPort?: number;
  readonly terminationLog?: string;
}

export function driverCommand(): Command {
  return addQueryOptions(
    new Command("driver").description(
      "run a query or a job in batches as one numbered run of it; a run with a higher number takes it over",
    ),
  )
    .option("--port <n>", "port of the REST API and metrics; 0 chooses a free one", parsePort, 8081)
    .option(
      "--rpc-port <n>",
      "port for executors; 0 chooses a free one. Default 6123 where the manifest has executors, else none",
      parsePort,
    )
    .option("--termination-log <path>", "where to write how the run ended, as JSON (MILLRACE_TERMINATION_LOG)")
    .action(async (flags: DriverFlags) => {
      const { runDriver } = await import("./run-driver.ts");
      await runDriver(flags);
    });
}
