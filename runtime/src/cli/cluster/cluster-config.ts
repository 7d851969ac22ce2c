// What a JobManager or a TaskManager does, from the manifest, the environment that a pod gets, and flags on top.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { parseDuration } from "../../base/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { deadLetterUid } from "../../drivers/task/task-parts.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import type { JobGraph } from "../../drivers/cluster/coordinator/job-graph.ts";
import { jobGraph } from "../../drivers/cluster/coordinator/job-graph.ts";
import { defaultHeartbeats, type HeartbeatOptions } from "../../drivers/cluster/rpc/connection.ts";
import { loadManifest } from "../manifest/load-manifest.ts";
import { configOfManifest, configOfModule, type RunConfig, type RunFlags } from "../run/run-config.ts";

/** Flags that JobManagers and TaskManagers share. */
export interface ClusterFlags extends RunFlags {
  readonly module?: string;
  readonly log: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly advertise?: string;
  readonly host: string;
  readonly run?: string;
  readonly tlsDir?: string;
  readonly tokenFile?: string;
  readonly leadership?: string;
  readonly leadershipDir?: string;
  readonly heartbeatTimeout?: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export type LeadershipKind =
  | { readonly kind: "storage"; readonly url: string }
  | { readonly kind: "kubernetes"; readonly namespace: string; readonly lease: string };

export interface ClusterConfig {
  readonly run: RunConfig;
  /** Rises with every deployment of the job; a run that has ended does not start again. */
  readonly runNumber: number;
  /** Prepare, and start when the order comes. */
  readonly standby: boolean;
  /** Where others reach this process. */
  readonly advertise: string;
  readonly listen: string;
  readonly tlsDir: string | undefined;
  readonly tokenFile: string | undefined;
  readonly leadership: LeadershipKind;
  readonly heartbeats: HeartbeatOptions;
  readonly instance: string;
}

/** Rejects with what the manifest or an option gets wrong. */
export async function readClusterConfig(flags: ClusterFlags, environment: Environment): Promise<ClusterConfig> {
  const run = await readRun(flags);
  if (run.storage === undefined) {
    throw new MillraceError(
      "CLUSTER_STORAGE",
      "checkpoints.storage",
      "is not set, and a job on several processes keeps what its leaders leave to each other there",
      "set it to a file:// or s3:// URL that all processes reach",
    );
  }
  const name = environment["MILLRACE_POD_NAME"] ?? hostname();
  return {
    run,
    runNumber: runNumberOf(flags, environment),
    standby: environment["MILLRACE_STANDBY"] === "1",
    advertise: flags.advertise ?? environment["MILLRACE_POD_IP"] ?? flags.host,
    listen: flags.host,
    tlsDir: flags.tlsDir ?? environment["MILLRACE_TLS_DIR"],
    tokenFile: flags.tokenFile ?? environment["MILLRACE_TOKEN_FILE"],
    leadership: leadershipOf(flags, environment, run.storage),
    heartbeats: heartbeatsOf(flags.heartbeatTimeout),
    // A container that restarts in its pod is another process: slices of the one before are not its own.
    instance: `${name}-${randomBytes(4).toString("hex")}`,
  };
}

export function graphOf(dataflow: Dataflow, config: RunConfig): JobGraph {
  return jobGraph(
    dataflow,
    planFingerprint(planOf(dataflow)),
    config.maxParallelism,
    config.deadLetters === undefined ? undefined : deadLetterUid,
  );
}

async function readRun(flags: ClusterFlags): Promise<RunConfig> {
  if ((flags.file === undefined) === (flags.module === undefined)) {
    throw new MillraceError("OPTION_INVALID", "the job", "needs either -f manifest or --module", "give one of them");
  }
  if (flags.file !== undefined) return configOfManifest(await loadManifest(flags.file), flags.file, flags);
  return configOfModule(flags.module as string, flags);
}

function leadershipOf(flags: ClusterFlags, environment: Environment, storage: string): LeadershipKind {
  const lease = environment["MILLRACE_LEASE"];
  const kind = flags.leadership ?? (lease === undefined ? "storage" : "kubernetes");
  if (kind === "storage") return { kind, url: flags.leadershipDir ?? storage };
  if (kind !== "kubernetes") {
    throw new MillraceError("OPTION_INVALID", "--leadership", `"${kind}" is not one`, "use storage or kubernetes");
  }
  const namespace = environment["MILLRACE_NAMESPACE"];
  if (lease === undefined || namespace === undefined) {
    throw new MillraceError(
      "OPTION_INVALID",
      "leadership by Kubernetes",
      "MILLRACE_LEASE and MILLRACE_NAMESPACE are not both set",
      "set them, or use --leadership storage",
    );
  }
  return { kind, namespace, lease };
}

export function heartbeatsOf(timeout: string | undefined): HeartbeatOptions {
  if (timeout === undefined) return defaultHeartbeats;
  const timeoutMs = parseDuration(timeout, "--heartbeat-timeout");
  return { intervalMs: Math.max(50, Math.min(defaultHeartbeats.intervalMs, timeoutMs / 4)), timeoutMs };
}

/** Which run of its job a process belongs to; throws OPTION_INVALID that names the option or the variable, whichever said it. */
export function runNumberOf({ run }: { readonly run?: string }, environment: Environment): number {
  if (run !== undefined) return wholeNumber(run, "--run");
  return wholeNumber(environment["MILLRACE_RUN"] ?? "1", "MILLRACE_RUN");
}

export function wholeNumber(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new MillraceError("OPTION_INVALID", option, `"${text}" is not a positive whole number`, "give one");
  return value;
}
