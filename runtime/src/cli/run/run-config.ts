// What one `millrace run` does, from its manifest and its flags.
import { totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import type { MicroBatchJobManifest, RestartSpec, StreamJobManifest, StreamJobSpec } from "../../api/index.ts";
import { parseDuration } from "../../base/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { memoryLimit, shareMemory } from "../../base/memory-shares.ts";
import { parseSize } from "../../base/size.ts";
import { type BatchConfig, batchConfig } from "./batch-config.ts";
import { defaultRestarts, type RestartStrategy } from "../../drivers/continuous/restart-backoff.ts";

export interface S3Settings {
  readonly endpoint?: string;
  readonly region?: string;
  readonly forcePathStyle?: boolean;
}

export interface RunConfig {
  readonly name: string | undefined;
  readonly module: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly parallelism: number;
  /** Undefined where nobody said. */
  readonly parallelismGiven: number | undefined;
  readonly maxParallelism: number;
  readonly vertexParallelism: Readonly<Record<string, number>>;
  readonly slotsPerTaskManager: number;
  readonly storage: string | undefined;
  readonly s3: S3Settings;
  readonly checkpointIntervalMs: number;
  readonly minPauseMs: number;
  readonly checkpointTimeoutMs: number;
  readonly alignmentTimeoutMs: number;
  /** How long rows wait for others to fill the frame in which they go to another slot. */
  readonly flushTimeoutMs: number;
  /** Rows on their way into a slot, bytes. */
  readonly exchangeBytes: number;
  readonly retained: number;
  readonly tolerableFailures: number;
  readonly backend: "memory" | "rocksdb";
  /** What keyed state may take in memory. */
  readonly memoryBudgetBytes: number;
  /** What RocksDB may take beside it. */
  readonly databaseBytes: number;
  /** What sources and sinks may hold of bytes on their way. */
  readonly bufferBytes: number;
  readonly onBadRecord: "dead-letter" | "fail";
  readonly maxBadPerMinute: number;
  readonly deadLetters: NonNullable<StreamJobSpec["badRecords"]>["deadLetters"];
  readonly restarts: RestartStrategy;
  readonly initialSavepoint: string | undefined;
  readonly allowNonRestoredState: boolean;
  /** What a MicroBatchJob's manifest and `--trigger` say; empty without them. */
  readonly batches: BatchConfig;
}

/** The flags of `millrace run`, as commander gives them. */
export interface RunFlags {
  readonly file?: string;
  readonly param?: Readonly<Record<string, string>>;
  readonly parallelism?: string;
  readonly storage?: string;
  readonly s3Endpoint?: string;
  readonly checkpointInterval?: string;
  readonly stateBackend?: string;
  readonly fromSavepoint?: string;
  readonly allowNonRestoredState?: boolean;
  readonly trigger?: string;
}

/** The configuration of a manifest in file `path`, with flags on top. */
export function configOfManifest(manifest: StreamJobManifest, path: string, flags: RunFlags): RunConfig {
  return resolveConfig(manifest.spec, resolve(dirname(path), manifest.spec.job.module), manifest.metadata.name, flags);
}

/** The configuration of a MicroBatchJob's manifest in file `path`. */
export function configOfBatchManifest({ metadata, spec }: MicroBatchJobManifest, path: string, flags: RunFlags): RunConfig {
  const { job, parallelism, maxParallelism, checkpoints, state, badRecords } = spec;
  const common = { job, parallelism, maxParallelism, checkpoints, state, badRecords } as StreamJobSpec;
  return { ...resolveConfig(common, resolve(dirname(path), job.module), metadata.name, flags), batches: batchConfig(spec) };
}

/** The configuration of a bare module. */
export function configOfModule(module: string, flags: RunFlags): RunConfig {
  return resolveConfig({ job: { module } }, resolve(module), undefined, flags);
}

function resolveConfig(spec: StreamJobSpec, module: string, name: string | undefined, flags: RunFlags): RunConfig {
  const parallelism =
    flags.parallelism === undefined ? (spec.parallelism ?? slotsOf(spec)) : positiveInteger(flags.parallelism, "--parallelism");
  const maxParallelism = spec.maxParallelism ?? 128;
  if (parallelism > maxParallelism) {
    throw new MillraceError(
      "OPTION_INVALID",
      "parallelism",
      `${parallelism} is above maxParallelism ${maxParallelism}`,
      "lower it; maxParallelism is fixed for a job's life",
    );
  }
  const { checkpoints = {}, state = {}, badRecords = {} } = spec;
  const shares = shareMemory(memoryLimit(process.constrainedMemory(), totalmem()));
  return {
    name,
    module,
    parameters: { ...spec.job.parameters, ...flags.param },
    parallelism,
    parallelismGiven: flags.parallelism === undefined ? spec.parallelism : parallelism,
    maxParallelism,
    vertexParallelism: spec.vertexParallelism ?? {},
    slotsPerTaskManager: spec.taskManager?.slots ?? 1,
    storage: flags.storage ?? checkpoints.storage,
    s3: { ...checkpoints.s3, ...(flags.s3Endpoint === undefined ? {} : { endpoint: flags.s3Endpoint, forcePathStyle: true }) },
    checkpointIntervalMs: parseDuration(flags.checkpointInterval ?? checkpoints.interval ?? 10_000, "checkpoints.interval"),
    minPauseMs: parseDuration(checkpoints.minPause ?? 0, "checkpoints.minPause"),
    checkpointTimeoutMs: parseDuration(checkpoints.timeout ?? 600_000, "checkpoints.timeout"),
    alignmentTimeoutMs: parseDuration(checkpoints.alignmentTimeout ?? 1000, "checkpoints.alignmentTimeout"),
    flushTimeoutMs: parseDuration(spec.exchange?.flushTimeout ?? 5, "exchange.flushTimeout"),
    exchangeBytes: parseSize(spec.exchange?.buffers ?? "32Mi", "exchange.buffers"),
    retained: checkpoints.retained ?? 3,
    tolerableFailures: checkpoints.tolerableFailures ?? 10,
    backend: backendOf(flags.stateBackend ?? state.backend ?? "memory"),
    memoryBudgetBytes: state.memoryBudget === undefined ? shares.stateBytes : parseSize(state.memoryBudget, "state.memoryBudget"),
    databaseBytes: shares.databaseBytes,
    bufferBytes: shares.bufferBytes,
    onBadRecord: badRecords.onBadRecord ?? "dead-letter",
    maxBadPerMinute: badRecords.maxPerMinute ?? 1000,
    deadLetters: badRecords.deadLetters,
    restarts: restartsOf(spec.restarts ?? {}),
    initialSavepoint: flags.fromSavepoint ?? spec.job.initialSavepoint,
    allowNonRestoredState: flags.allowNonRestoredState ?? spec.job.allowNonRestoredState ?? false,
    batches: {},
  };
}

// Where the manifest says how many TaskManagers there are, all their slots are used.
function slotsOf({ taskManager }: StreamJobSpec): number {
  return taskManager?.replicas === undefined ? 1 : taskManager.replicas * (taskManager.slots ?? 1);
}

function restartsOf(spec: RestartSpec): RestartStrategy {
  const delayMs = parseDuration(spec.delay ?? defaultRestarts.initialMs, "restarts.delay");
  const maxAttempts = spec.maxAttempts ?? defaultRestarts.maxAttempts;
  switch (spec.strategy ?? "exponential") {
    case "fixed-delay":
      return { kind: "fixed-delay", maxAttempts, delayMs };
    case "failure-rate":
      return {
        kind: "failure-rate",
        maxFailures: spec.maxFailures ?? 10,
        perMs: parseDuration(spec.per ?? 600_000, "restarts.per"),
        delayMs,
      };
    case "exponential":
      return {
        kind: "exponential",
        maxAttempts,
        initialMs: delayMs,
        maxMs: parseDuration(spec.maxDelay ?? defaultRestarts.maxMs, "restarts.maxDelay"),
        resetAfterMs: parseDuration(spec.resetAfter ?? defaultRestarts.resetAfterMs, "restarts.resetAfter"),
      };
  }
}

/** What `/v1/config` shows: parameters whose names speak of secrets are left out. */
export function publicConfig(config: RunConfig): object {
  const parameters = Object.entries(config.parameters).map(([name, value]) => [name, secretName.test(name) ? "[secret]" : value]);
  return { ...config, parameters: Object.fromEntries(parameters) };
}

const secretName = /password|secret|token|credential|key$/i;

/** The configuration of one of `slots` slots of a process: they share its memory alike. */
export function slotShare(run: RunConfig, slots: number): RunConfig {
  const { memoryBudgetBytes, databaseBytes, bufferBytes } = run;
  const share = (bytes: number): number => Math.floor(bytes / slots);
  return { ...run, memoryBudgetBytes: share(memoryBudgetBytes), databaseBytes: share(databaseBytes), bufferBytes: share(bufferBytes) };
}

function backendOf(name: string): "memory" | "rocksdb" {
  if (name === "memory" || name === "rocksdb") return name;
  throw new MillraceError("OPTION_INVALID", "state backend", `"${name}" is not one`, "use memory or rocksdb");
}

function positiveInteger(text: string, option: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new MillraceError("OPTION_INVALID", option, `"${text}" is not a positive whole number`, "give one");
  return value;
}
