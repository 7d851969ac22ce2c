// `millrace run`: one job in one process, from a module or from the manifest that a cluster gets.
import { Command, InvalidArgumentError, Option } from "commander";
import { collectParameter } from "../parameters.ts";
import type { RunFlags } from "./run-config.ts";

interface CommandFlags extends RunFlags {
  readonly log: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly host: string;
  readonly port: number;
  readonly status: boolean;
  readonly tokenFile?: string;
  readonly taskManagers?: string;
  readonly jobManagers?: string;
  readonly executors?: string;
  readonly slots?: string;
  readonly heartbeatTimeout?: string;
}

export function runCommand(): Command {
  return new Command("run")
    .description("run a job in this process until it ends or is stopped (SIGTERM and SIGINT end it with a last checkpoint)")
    .argument("[job]", "a module whose default export is a job")
    .option("-f, --file <manifest>", "a StreamJob or MicroBatchJob manifest, instead of a module")
    .option("-p, --param <name=value>", "a parameter of the job; may be repeated", collectParameter)
    .option("--parallelism <n>", "how many instances each operator has")
    .option("--storage <url>", "where snapshots go: file:///path or s3://bucket/prefix")
    .option("--s3-endpoint <url>", "the S3 endpoint when it is not AWS")
    .option("--checkpoint-interval <duration>", 'time between two checkpoints, such as "10 s"')
    .option("--state-backend <name>", "memory or rocksdb")
    .option("--from-savepoint <location>", "start from this savepoint when the job has no checkpoint of its own")
    .option("--allow-non-restored-state", "drop state of the savepoint that no operator uses")
    .option("--trigger <when>", 'run the job in batches: available-now, once, or the time between two, such as "10 s"')
    .addOption(new Option("--log <format>", "format of the log").choices(["text", "json"]).default("text"))
    .addOption(new Option("--log-level <level>", "what is logged").choices(["debug", "info", "warn", "error"]).default("info"))
    .option("--host <address>", "where the REST API listens", "127.0.0.1")
    .option("--port <n>", "port of the REST API and metrics; 0 chooses a free one", parsePort, 8081)
    .option("--task-managers <n>", "run the job as a cluster does, with so many TaskManagers as processes of their own")
    .option("--executors <n>", "of a DataFrame query: compute its batches in so many processes of their own")
    .option("--slots <n>", "with --task-managers or --executors: slots of each")
    .option("--job-managers <n>", "with --task-managers: JobManagers, one of which leads; default 1")
    .option("--heartbeat-timeout <duration>", "with --task-managers: how long a process may be silent; default 4 s")
    .option("--token-file <path>", "a file with the bearer token that the REST API asks for")
    .option("--no-status", "no live status line")
    .action(async (job: string | undefined, flags: CommandFlags) => {
      if (flags.taskManagers !== undefined) {
        const { runLocalCluster } = await import("../cluster/local-cluster.ts");
        return runLocalCluster(job, flags);
      }
      const { runInProcess } = await import("./run-in-process.ts");
      await runInProcess(job, flags);
    });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError("give a port number");
  return port;
}

export type { CommandFlags };
