// What the operator's process is told by its environment, which is what the chart sets.
import { hostname } from "node:os";
import { defaultLeaseTimes, type LeaseTimes } from "../controller/leader-election.ts";
import type { ObjectKey } from "../ports/cluster.ts";
import { durationMs } from "../streamjob/duration.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface OperatorConfig {
  readonly identity: string;
  /** Undefined: no election; for one replica on a contributor's machine. */
  readonly lease: ObjectKey | undefined;
  readonly leaseTimes: LeaseTimes;
  readonly namespaces: readonly string[];
  readonly defaultImage: string | undefined;
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws an Error that names the variable and the mend. */
export function readConfig(environment: Environment): OperatorConfig {
  const text = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const lease = text("MILLRACE_LEASE");
  const namespace = text("MILLRACE_POD_NAMESPACE");
  if (lease !== undefined && namespace === undefined)
    throw new Error("MILLRACE_POD_NAMESPACE: missing, and MILLRACE_LEASE is given; set it to the namespace of the operator's pod");
  const leaseTimes: LeaseTimes = {
    durationMs: duration(text("MILLRACE_LEASE_DURATION"), "MILLRACE_LEASE_DURATION", defaultLeaseTimes.durationMs),
    renewDeadlineMs: duration(text("MILLRACE_LEASE_RENEW_DEADLINE"), "MILLRACE_LEASE_RENEW_DEADLINE", defaultLeaseTimes.renewDeadlineMs),
    retryMs: duration(text("MILLRACE_LEASE_RETRY_PERIOD"), "MILLRACE_LEASE_RETRY_PERIOD", defaultLeaseTimes.retryMs),
  };
  // What a leader has sent before its deadline must be over before another one may begin.
  if (leaseTimes.renewDeadlineMs + 4_500 > leaseTimes.durationMs)
    throw new Error("MILLRACE_LEASE_RENEW_DEADLINE: must be at least 4.5 s below MILLRACE_LEASE_DURATION; lower it, or raise the duration");
  if (leaseTimes.retryMs * 2 > leaseTimes.renewDeadlineMs)
    throw new Error("MILLRACE_LEASE_RETRY_PERIOD: must fit twice into MILLRACE_LEASE_RENEW_DEADLINE; lower it");
  const level = text("MILLRACE_LOG_LEVEL") ?? "info";
  if (!isLevel(level)) throw new Error(`MILLRACE_LOG_LEVEL: "${level}" is not debug, info, warn or error; give one of them`);
  return {
    identity: text("MILLRACE_POD_NAME") ?? `${hostname()}-${process.pid}`,
    lease: lease === undefined || namespace === undefined ? undefined : { namespace, name: lease },
    leaseTimes,
    namespaces: (text("MILLRACE_WATCH_NAMESPACES") ?? "")
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== ""),
    defaultImage: text("MILLRACE_RUNTIME_IMAGE"),
    workers: whole(text("MILLRACE_WORKERS"), "MILLRACE_WORKERS", 16, 1, 256),
    logLevel: level,
    httpHost: text("MILLRACE_HTTP_HOST") ?? "0.0.0.0",
    httpPort: whole(text("MILLRACE_HTTP_PORT"), "MILLRACE_HTTP_PORT", 8080, 0, 65_535),
    kubeconfig: text("MILLRACE_KUBECONFIG"),
    context: text("MILLRACE_KUBE_CONTEXT"),
  };
}

const isLevel = (text: string): text is LogLevel => ["debug", "info", "warn", "error"].includes(text);

function duration(value: string | undefined, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  const ms = durationMs(value);
  if (ms === undefined || ms < 100) throw new Error(`${name}: "${value}" is not a duration of at least 100 ms; give text such as "15 s"`);
  return ms;
}

function whole(value: string | undefined, name: string, otherwise: number, least: number, most: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most)
    throw new Error(`${name}: "${value}" is not a whole number from ${least} to ${most}; give one`);
  return number;
}
