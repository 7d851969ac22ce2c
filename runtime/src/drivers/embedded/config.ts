// The options of an embedded application, checked and completed.
import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { silentLog } from "../../base/log.ts";
import { integerOption, positiveOption, refuseUnknownOptions } from "../../base/options.ts";
import type { ClientOptions, KafkaConnectionOptions } from "../../connectors/kafka/client/client-options.ts";
import { clientOptions } from "../../connectors/kafka/client/client-options.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import type { StateBackendFactory } from "../../core/ports/state-backend.ts";
import type { AppServerOptions } from "./rest/app-server.ts";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";

/** What to do when a task fails: run it again from its last commit, stop this process's part, or stop the application everywhere. */
export type FailureResponse = "replace" | "shutdown-client" | "shutdown-application";

export interface EmbeddedConfig {
  /** How to reach the cluster. Default: as the job's first source does. */
  readonly kafka?: KafkaConnectionOptions;
  /** Names the consumer group, the internal topics and the transactions; never changes. Default: the job's name. */
  readonly applicationId?: string;
  /** The job's parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Default `exactly-once`: output, state and offsets of a task are one transaction. */
  readonly delivery?: "exactly-once" | "at-least-once";
  /** How often a task commits: with exactly-once also how long output waits to be seen. Default 100 ms, or 1 s with at-least-once. */
  readonly commitIntervalMs?: number;
  /** Of state; fixed for an application's life. Default 128. */
  readonly maxParallelism?: number;
  /** Where state lives while it is used. Default: memory. */
  readonly stateBackend?: StateBackendFactory;
  /**
   * A folder on a local disk, which processes on one machine may share. A process that starts again there reads only what came after
   * its last commit from Kafka. Without it state on disk is temporary, and is restored from Kafka whole.
   */
  readonly stateDirectory?: string;
  /** After this long a copy of state in the folder that no task uses is deleted. Default 1 h. */
  readonly stateCleanupMs?: number;
  /** A name of this process that survives its restart (a pod's name): it then gets its tasks back without a rebalance. */
  readonly instanceId?: string;
  /** Where the process runs (a zone): copies of state go to another one. */
  readonly rack?: string;
  /** How fast state is read from Kafka, bytes per second of this process, so that tasks that run keep their share. Default: no limit. */
  readonly restoreBytesPerSecond?: number;
  /** Copies of each task's state that other processes keep, so that one takes over at once. Default 0. */
  readonly standbys?: number;
  /** A copy that is behind by no more than so many records may take over. Default 10,000. */
  readonly acceptableLag?: number;
  /** Tasks whose state is copied at once before they move to another process. Default 2. */
  readonly maxWarmups?: number;
  /** After this long without a sign of life its tasks go to others. Default 45 s. */
  readonly sessionTimeoutMs?: number;
  /** Default: a fifteenth of the session timeout. */
  readonly heartbeatIntervalMs?: number;
  /** Of the application's internal topics. Default: the broker's. */
  readonly replicationFactor?: number;
  /** More configuration of the internal topics. */
  readonly topicConfigs?: Readonly<Record<string, string>>;
  /** How often what was read is deleted from the repartition topics. Default 30 s. */
  readonly purgeIntervalMs?: number;
  /** After this the broker aborts a transaction that nobody goes on with. Default 60 s. */
  readonly transactionTimeoutMs?: number;
  /** Default: `shutdown-client`. */
  readonly onFailure?: (error: unknown, taskId: string) => FailureResponse;
  /** Records that cannot be read or processed: to the log (`dead-letter`, default) or a failure (`fail`). */
  readonly onBadRecord?: "dead-letter" | "fail";
  /**
   * Output that a topic does not take, because it is larger than its `max.message.bytes`, or has no key where the topic is compacted: a failure of
   * the task (`fail`, default), or a dead letter (`dead-letter`), and all other output goes on.
   */
  readonly onRefusedRecord?: "dead-letter" | "fail";
  /** Default 1,000. */
  readonly maxBadRecordsPerMinute?: number;
  /** A topic that dead letters go to, in place of the log: each record as it was, with the reason in its headers. It must exist. */
  readonly deadLetterTopic?: string;
  /** Where savepoints go: `file://` or `s3://`, the same for all processes. Default: none can be taken. */
  readonly savepointStorage?: string;
  /** How to reach savepoints on S3. Default: as the environment says. */
  readonly storageOptions?: StorageOptions;
  /**
   * Begin from this savepoint, of this application or of the same job in another shape. Once it is done, later starts with the same value go
   * on from there; a process that has another one is refused while others run.
   */
  readonly fromSavepoint?: string;
  /** Restores again from the same savepoint when it is another one than the last time. Default: the savepoint's URL. */
  readonly restoreId?: string;
  /** Drop state of the savepoint that the job does not have. Default false. */
  readonly allowNonRestoredState?: boolean;
  /** How long the tasks may take for the cut of a savepoint before it is tried again. Default 60 s. */
  readonly savepointTimeoutMs?: number;
  /** A file that says, as JSON, with which savepoint the process was ended: a pod's termination message. Default: none. */
  readonly terminationLog?: string;
  /** An HTTP server of this process, for probes, status and savepoints: docs/reference/embedded-rest.md. Default: none. */
  readonly http?: HttpConfig;
  readonly log?: Log;
}

export interface HttpConfig {
  /** 0 for one that is free. */
  readonly port: number;
  /** A second port that answers queries of stores and nothing else; 0 for one that is free. Default: none, `port` answers them. */
  readonly queryPort?: number;
  /** Default: the loopback address. */
  readonly host?: string;
  /** Where other processes of the application reach it, for queries. Default: where it listens. */
  readonly advertisedUrl?: string;
  /** What requests below `/v1` must carry as their bearer token; a function is asked at each request. Default: none. */
  readonly token?: string | (() => string);
}

export interface CompleteConfig {
  readonly client: ClientOptions | undefined;
  readonly applicationId: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
  readonly exactlyOnce: boolean;
  readonly commitIntervalMs: number;
  readonly maxParallelism: number;
  readonly stateBackend: StateBackendFactory;
  readonly stateDirectory: string | undefined;
  readonly stateCleanupMs: number;
  readonly instanceId: string | null;
  readonly rack: string | undefined;
  readonly processId: string;
  readonly restoreBytesPerSecond: number;
  readonly standbys: number;
  readonly acceptableLag: number;
  readonly maxWarmups: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly replicationFactor: number;
  readonly topicConfigs: Readonly<Record<string, string>>;
  readonly transactionTimeoutMs: number;
  readonly purgeIntervalMs: number;
  readonly onFailure: (error: unknown, taskId: string) => FailureResponse;
  readonly onBadRecord: "dead-letter" | "fail";
  readonly onRefusedRecord: "dead-letter" | "fail";
  readonly maxBadRecordsPerMinute: number;
  readonly deadLetterTopic: string | undefined;
  readonly savepointStorage: string | undefined;
  readonly storageOptions: StorageOptions;
  readonly fromSavepoint: string | undefined;
  readonly restoreId: string | undefined;
  readonly allowNonRestoredState: boolean;
  readonly savepointTimeoutMs: number;
  readonly terminationLog: string | undefined;
  readonly http: (AppServerOptions & { readonly advertisedUrl: string | undefined }) | undefined;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: () => number;
  readonly openClient: ((options: ClientOptions) => KafkaClient) | undefined;
}

/** What tests pass in besides. */
export interface EmbeddedParts {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly openClient?: (options: ClientOptions) => KafkaClient;
}

const subject = "embedded";
const names = [
  "kafka",
  "applicationId",
  "parameters",
  "delivery",
  "commitIntervalMs",
  "maxParallelism",
  "stateBackend",
  "stateDirectory",
  "stateCleanupMs",
  "instanceId",
  "rack",
  "restoreBytesPerSecond",
  "standbys",
  "acceptableLag",
  "maxWarmups",
  "sessionTimeoutMs",
  "heartbeatIntervalMs",
  "replicationFactor",
  "topicConfigs",
  "transactionTimeoutMs",
  "purgeIntervalMs",
  "onFailure",
  "onBadRecord",
  "onRefusedRecord",
  "maxBadRecordsPerMinute",
  "deadLetterTopic",
  "savepointStorage",
  "storageOptions",
  "fromSavepoint",
  "restoreId",
  "allowNonRestoredState",
  "savepointTimeoutMs",
  "terminationLog",
  "http",
  "log",
];
const dayMs = 24 * 3_600_000;

/** Throws OPTION_UNKNOWN and OPTION_INVALID. */
export function completeConfig(config: EmbeddedConfig, parts: EmbeddedParts): CompleteConfig {
  refuseUnknownOptions(subject, config, names);
  const { delivery = "exactly-once", applicationId, instanceId } = config;
  if (delivery !== "exactly-once" && delivery !== "at-least-once")
    throw invalid("delivery", `"${String(delivery)}" is not known`, "use exactly-once or at-least-once");
  for (const [option, value] of [
    ["applicationId", applicationId],
    ["instanceId", instanceId],
  ] as const) {
    if (value !== undefined && !/^[A-Za-z0-9][\w.-]{0,99}$/.test(value))
      throw invalid(option, `"${value}" is not usable`, "use up to 100 letters, digits, dots, dashes and underscores");
  }
  const { onBadRecord = "dead-letter", onRefusedRecord = "fail" } = config;
  if (onRefusedRecord !== "fail" && onRefusedRecord !== "dead-letter")
    throw invalid("onRefusedRecord", `"${String(onRefusedRecord)}" is not known`, "use fail or dead-letter");
  if (onRefusedRecord === "dead-letter" && onBadRecord === "fail")
    throw invalid("onRefusedRecord", 'is "dead-letter" where onBadRecord is "fail"', "use dead-letter for both, or fail here");
  const exactlyOnce = delivery === "exactly-once";
  const sessionTimeoutMs = integerOption(subject, "sessionTimeoutMs", config.sessionTimeoutMs, 45_000, 100, dayMs);
  const processId = instanceId ?? randomBytes(6).toString("hex");
  const heartbeatMs = Math.max(1, Math.floor(sessionTimeoutMs / 15));
  return {
    client: config.kafka === undefined ? undefined : clientOptions(config.kafka),
    applicationId,
    parameters: config.parameters ?? {},
    exactlyOnce,
    commitIntervalMs: integerOption(subject, "commitIntervalMs", config.commitIntervalMs, exactlyOnce ? 100 : 1000, 1, dayMs),
    maxParallelism: integerOption(subject, "maxParallelism", config.maxParallelism, 128, 1, 32_768),
    stateBackend: config.stateBackend ?? memoryBackend(),
    stateDirectory: config.stateDirectory,
    stateCleanupMs: integerOption(subject, "stateCleanupMs", config.stateCleanupMs, 3_600_000, 0, 365 * dayMs),
    instanceId: instanceId ?? null,
    rack: config.rack,
    processId,
    restoreBytesPerSecond: positiveOption(subject, "restoreBytesPerSecond", config.restoreBytesPerSecond, Infinity),
    standbys: integerOption(subject, "standbys", config.standbys, 0, 0, 10),
    acceptableLag: integerOption(subject, "acceptableLag", config.acceptableLag, 10_000, 0, 2 ** 40),
    maxWarmups: integerOption(subject, "maxWarmups", config.maxWarmups, 2, 1, 1000),
    sessionTimeoutMs,
    heartbeatIntervalMs: integerOption(subject, "heartbeatIntervalMs", config.heartbeatIntervalMs, heartbeatMs, 1, sessionTimeoutMs),
    replicationFactor: integerOption(subject, "replicationFactor", config.replicationFactor, -1, -1, 100),
    topicConfigs: config.topicConfigs ?? {},
    transactionTimeoutMs: integerOption(subject, "transactionTimeoutMs", config.transactionTimeoutMs, 60_000, 1000, dayMs),
    purgeIntervalMs: integerOption(subject, "purgeIntervalMs", config.purgeIntervalMs, 30_000, 100, dayMs),
    onFailure: config.onFailure ?? (() => "shutdown-client"),
    onBadRecord,
    onRefusedRecord,
    maxBadRecordsPerMinute: integerOption(subject, "maxBadRecordsPerMinute", config.maxBadRecordsPerMinute, 1000, 0, 2 ** 31),
    deadLetterTopic: config.deadLetterTopic,
    savepointStorage: config.savepointStorage,
    storageOptions: config.storageOptions ?? {},
    fromSavepoint: config.fromSavepoint,
    restoreId: config.restoreId,
    allowNonRestoredState: config.allowNonRestoredState ?? false,
    savepointTimeoutMs: integerOption(subject, "savepointTimeoutMs", config.savepointTimeoutMs, 60_000, 100, dayMs),
    terminationLog: config.terminationLog,
    http: config.http && httpOptions(config.http),
    log: config.log ?? silentLog,
    clock: parts.clock ?? systemClock,
    random: parts.random ?? Math.random,
    openClient: parts.openClient,
  };
}

function httpOptions(http: HttpConfig): NonNullable<CompleteConfig["http"]> {
  refuseUnknownOptions("embedded http", http, ["port", "queryPort", "host", "token", "advertisedUrl"]);
  const { token, host = "127.0.0.1", port, queryPort } = http;
  if (queryPort !== undefined && queryPort !== 0 && queryPort === port)
    throw new MillraceError(
      "OPTION_INVALID",
      'embedded http option "queryPort"',
      `${port} is the port itself`,
      "leave it out, or choose another",
    );
  return {
    host,
    port: integerOption("embedded http", "port", port, 0, 0, 65_535),
    queryPort: queryPort === undefined ? undefined : integerOption("embedded http", "queryPort", queryPort, 0, 0, 65_535),
    token: typeof token === "string" ? () => token : token,
    advertisedUrl: http.advertisedUrl?.replace(/\/+$/, ""),
  };
}

function invalid(option: string, problem: string, next: string): MillraceError {
  return new MillraceError("OPTION_INVALID", `${subject} option "${option}"`, problem, next);
}
