// `millrace taskmanager`: a process with slots that runs what the leader deploys.
import { Command } from "commander";
import type { ClusterFlags } from "./cluster-config.ts";
import { addClusterOptions } from "./cluster-options.ts";
import { parsePort } from "./jobmanager-command.ts";

export interface TaskManagerFlags extends ClusterFlags {
  readonly port: number;
  readonly exchangePort: number;
  readonly slots?: string;
  readonly jobmanagers?: string;
  readonly workDir?: string;
  readonly orphanTimeout: string;
}

export function taskManagerCommand(): Command {
  return addClusterOptions(new Command("taskmanager").description("offer slots to a job on several processes"))
    .option("--slots <n>", "how many slots (MILLRACE_SLOTS); default taskManager.slots of the manifest, or 1")
    .option("--jobmanagers <list>", "host:port of the JobManagers' RPC, with commas (MILLRACE_JOBMANAGERS); default what the lease says")
    .option("--port <n>", "port of health and metrics; 0 chooses a free one", parsePort, 8081)
    .option(
      "--exchange-port <n>",
      "port of the first slot's exchange server, the next slot has the next one; 0 chooses free ones",
      parsePort,
      0,
    )
    .option("--work-dir <folder>", "where state on disk goes; default the system's folder for temporary files")
    .option("--orphan-timeout <duration>", "without a leader for this long, slices are ended", "10 min")
    .action(async (flags: TaskManagerFlags) => {
      const { runTaskManager } = await import("./run-taskmanager.ts");
      await runTaskManager(flags);
    });
}
