// `millrace jobmanager`: one of a job's coordinators; the one that holds the lease leads.
import { Command, InvalidArgumentError } from "commander";
import type { ClusterFlags } from "./cluster-config.ts";
import { addClusterOptions } from "./cluster-options.ts";

export interface JobManagerFlags extends ClusterFlags {
  readonly port: number;
  readonly rpcPort: number;
  readonly exitAtEnd?: boolean;
}

export function jobManagerCommand(): Command {
  return addClusterOptions(
    new Command("jobmanager").description("coordinate a job on several processes; run two or more, one of them leads"),
  )
    .option("--port <n>", "port of the REST API and metrics; 0 chooses a free one", parsePort, 8081)
    .option("--rpc-port <n>", "port for TaskManagers; 0 chooses a free one", parsePort, 6123)
    .option("--exit-at-end", "end this process when the job has ended; default is to go on answering")
    .action(async (flags: JobManagerFlags) => {
      const { runJobManager } = await import("./run-jobmanager.ts");
      await runJobManager(flags);
    });
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError("give a port number");
  return port;
}
