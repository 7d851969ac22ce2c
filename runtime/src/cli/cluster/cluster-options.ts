// Options that `millrace jobmanager` and `millrace taskmanager` share.
import { type Command, Option } from "commander";
import { collectParameter } from "../parameters.ts";

export function addClusterOptions(command: Command): Command {
  return command
    .option("-f, --file <manifest>", "the StreamJob manifest")
    .option("--module <path>", "a module whose default export is a job, instead of a manifest")
    .option("-p, --param <name=value>", "a parameter of the job; may be repeated", collectParameter)
    .option("--parallelism <n>", "how many instances each operator has")
    .option("--storage <url>", "where snapshots go: file:///path or s3://bucket/prefix")
    .option("--s3-endpoint <url>", "the S3 endpoint when it is not AWS")
    .option("--checkpoint-interval <duration>", 'time between two checkpoints, such as "10 s"')
    .option("--state-backend <name>", "memory or rocksdb")
    .option("--from-savepoint <location>", "start from this savepoint when the job has no checkpoint of its own")
    .option("--allow-non-restored-state", "drop state of the savepoint that no operator uses")
    .option("--run <n>", "the number of this deployment of the job (MILLRACE_RUN); numbers only rise. Default 1")
    .option("--host <address>", "where this process listens", "127.0.0.1")
    .option("--advertise <address>", "where other processes reach it (MILLRACE_POD_IP); default the host")
    .option("--leadership <kind>", "storage or kubernetes; default kubernetes where MILLRACE_LEASE is set")
    .option("--leadership-dir <url>", "for storage: the folder of the lease; default the snapshot storage")
    .option("--heartbeat-timeout <duration>", "how long a process may be silent before it counts as lost; default 4 s")
    .option("--tls-dir <folder>", "ca.crt, tls.crt and tls.key for mutual TLS between the job's processes (MILLRACE_TLS_DIR)")
    .option("--token-file <path>", "a file with the bearer token of REST and control plane (MILLRACE_TOKEN_FILE)")
    .addOption(new Option("--log <format>", "format of the log").choices(["text", "json"]).default("text"))
    .addOption(new Option("--log-level <level>", "what is logged").choices(["debug", "info", "warn", "error"]).default("info"));
}
