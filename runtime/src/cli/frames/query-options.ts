// Options that `millrace driver` and `millrace executor` share, and what they say together with a manifest and the environment of a pod.
import { type Command, Option } from "commander";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { MillraceError } from "../../base/errors.ts";
import { isFrameJob } from "../../dataframe/frame-job.ts";
import type { StreamQuery } from "../../dataframe/query.ts";
import type { HeartbeatOptions } from "../../drivers/cluster/rpc/connection.ts";
import { isJob } from "../../dsl/job.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { collectParameter } from "../parameters.ts";
import { heartbeatsOf, runNumberOf } from "../cluster/cluster-config.ts";
import { withTrigger } from "../run/batch-config.ts";
import { loadExport } from "../run/load-job.ts";
import { readConfig } from "../run/read-config.ts";
import type { RunConfig, RunFlags } from "../run/run-config.ts";

export interface QueryFlags extends RunFlags {
  readonly module?: string;
  readonly log: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly host: string;
  readonly port: number;
  readonly advertise?: string;
  readonly run?: string;
  readonly tlsDir?: string;
  readonly tokenFile?: string;
  readonly heartbeatTimeout?: string;
}

export function addQueryOptions(command: Command): Command {
  return command
    .option("-f, --file <manifest>", "the MicroBatchJob manifest")
    .option("--module <path>", "a module whose default export is a DataFrame program or a job, instead of a manifest")
    .option("-p, --param <name=value>", "a parameter of the program; may be repeated", collectParameter)
    .option("--parallelism <n>", "parts of each operator's state")
    .option("--storage <url>", "where the query's logs and state go: file:///path or s3://bucket/prefix")
    .option("--s3-endpoint <url>", "the S3 endpoint when it is not AWS")
    .option("--state-backend <name>", "memory or rocksdb")
    .option("--from-savepoint <location>", "start from this savepoint when the query has no checkpoint of its own")
    .option("--allow-non-restored-state", "drop state of the savepoint that no operator uses")
    .option("--run <n>", "the number of this deployment of the query (MILLRACE_RUN); numbers only rise. Default 1")
    .option("--host <address>", "where this process listens", "127.0.0.1")
    .option("--advertise <address>", "where other processes reach it (MILLRACE_POD_IP); default the host")
    .option("--heartbeat-timeout <duration>", "how long a process may be silent before it counts as lost; default 4 s")
    .option("--tls-dir <folder>", "ca.crt, tls.crt and tls.key for mutual TLS between the query's processes (MILLRACE_TLS_DIR)")
    .option("--token-file <path>", "a file with the bearer token of REST and of the query's processes (MILLRACE_TOKEN_FILE)")
    .addOption(new Option("--log <format>", "format of the log").choices(["text", "json"]).default("text"))
    .addOption(new Option("--log-level <level>", "what is logged").choices(["debug", "info", "warn", "error"]).default("info"));
}

export type BatchWork = { readonly kind: "query"; readonly query: StreamQuery } | { readonly kind: "job"; readonly dataflow: Dataflow };

export interface QueryProcess {
  readonly config: RunConfig;
  /** What runs in batches: a DataFrame query, or a job of the dataflow API. */
  readonly work: BatchWork;
  readonly run: number;
  readonly advertise: string;
  readonly tlsDir: string | undefined;
  readonly tokenFile: string | undefined;
  readonly heartbeats: HeartbeatOptions;
  /** Names this process among those of the query. */
  readonly instance: string;
}

/** Rejects with what the manifest, the program or an option gets wrong. */
export async function readQueryProcess(
  flags: QueryFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<QueryProcess> {
  if ((flags.file === undefined) === (flags.module === undefined))
    throw new MillraceError("OPTION_INVALID", "the query", "needs either -f manifest or --module", "give one of them");
  const config = await readConfig(flags.module, flags);
  const work = workOf(await loadExport(config.module), config);
  return {
    ...{ config, work },
    run: runNumberOf(flags, environment),
    advertise: flags.advertise ?? environment["MILLRACE_POD_IP"] ?? flags.host,
    tlsDir: flags.tlsDir ?? environment["MILLRACE_TLS_DIR"],
    tokenFile: flags.tokenFile ?? environment["MILLRACE_TOKEN_FILE"],
    heartbeats: heartbeatsOf(flags.heartbeatTimeout),
    instance: `${environment["MILLRACE_POD_NAME"] ?? hostname()}-${randomBytes(4).toString("hex")}`,
  };
}

function workOf(exported: unknown, config: RunConfig): BatchWork {
  if (isJob(exported)) return { kind: "job", dataflow: exported.build(config.parameters) };
  if (!isFrameJob(exported)) {
    throw new MillraceError(
      "JOB_EXPORT_MISSING",
      config.module,
      "its default export is not a DataFrame program, and no job either",
      'write: export default frames("name", ...) or export default job("name", ...)',
    );
  }
  const query = exported.build(config.parameters);
  if (query.kind === "stream") return { kind: "query", query: withTrigger(query, config.batches) };
  throw new MillraceError("DATAFRAME_UNSUPPORTED", config.module, "runs once and ends, which needs no driver", "run it with millrace run");
}
