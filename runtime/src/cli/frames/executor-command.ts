// `millrace executor`: computes what a query's driver hands out.
import { Command } from "commander";
import { parsePort } from "../cluster/jobmanager-command.ts";
import { addQueryOptions, type QueryFlags } from "./query-options.ts";

export interface ExecutorFlags extends QueryFlags {
  readonly driver?: string;
  readonly slots?: string;
  readonly exchangePort: number;
  readonly workDir?: string;
  readonly decommissionTimeout?: string;
  readonly orphanTimeout: string;
}

export function executorCommand(): Command {
  return addQueryOptions(new Command("executor").description("compute batches of a DataFrame query for its driver"))
    .option("--driver <host:port>", "where the driver listens for executors (MILLRACE_DRIVER)")
    .option("--slots <n>", "tasks at a time (MILLRACE_SLOTS); default executors.slots of the manifest, or 1")
    .option("--port <n>", "port of health and metrics; 0 chooses a free one", parsePort, 8081)
    .option("--exchange-port <n>", "port where other processes fetch what this one has computed; 0 chooses a free one", parsePort, 6124)
    .option("--work-dir <folder>", "where state and outputs on disk go; default the system's folder for temporary files")
    .option(
      "--decommission-timeout <duration>",
      "after SIGTERM: how long it may take until nothing of it is needed (MILLRACE_DECOMMISSION_MS); default 1 min",
    )
    .option("--orphan-timeout <duration>", "without a driver for this long it ends", "10 min")
    .action(async (flags: ExecutorFlags) => {
      const { runExecutor } = await import("./run-executor.ts");
      await runExecutor(flags);
    });
}
