// Opens an executor for a query: analyses it as its driver does, listens for those who need its outputs, and finds the driver.
import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock, type Clock } from "../../../../base/clock.ts";
import { MillraceError } from "../../../../base/errors.ts";
import { silentLog, type Log } from "../../../../base/log.ts";
import { openStorage, type StorageOptions } from "../../../../checkpoint/storage/open-storage.ts";
import type { SnapshotStorage } from "../../../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../../../core/ports/state-backend.ts";
import { analyze } from "../../../../dataframe/analysis/analyzer.ts";
import type { StreamQuery } from "../../../../dataframe/query.ts";
import { planFingerprint, planOf } from "../../../../plan/plan.ts";
import { memoryBackend } from "../../../../state/memory/memory-backend.ts";
import { defaultHeartbeats, type HeartbeatOptions } from "../../../cluster/rpc/connection.ts";
import type { TlsSource } from "../../../tls/tls-files.ts";
import { Kernel, type KernelOptions } from "../../kernel/kernel.ts";
import { queryDataflow } from "../../query-dataflow.ts";
import { buildStages } from "../../stages/build-stages.ts";
import { distribute } from "../distribution.ts";
import { OutputClient, startOutputServer } from "../output-server.ts";
import { Executor } from "./executor.ts";
import { TaskWorker } from "./task-worker.ts";

export interface ExecutorProcessOptions {
  /** host:port of the driver. */
  readonly driver: string;
  /** Its name; one that comes again with its name keeps its place. */
  readonly executorId?: string;
  /** Tasks at a time. Default 1. */
  readonly slots?: number;
  /** Where outputs are fetched, and what others call it. */
  readonly host: string;
  readonly port?: number;
  readonly advertise?: string;
  /** The query's checkpoint location: what the driver has. */
  readonly checkpointLocation: string;
  readonly storageOptions?: StorageOptions;
  readonly openStorage?: (url: string, options: StorageOptions) => Promise<SnapshotStorage>;
  readonly directory: string;
  readonly maxParallelism?: number;
  readonly stateBackend?: StateBackendFactory;
  readonly kernel?: KernelOptions;
  /** What outputs may take of memory. Default 256 MiB. */
  readonly outputBytes?: number;
  readonly tls?: TlsSource;
  readonly token?: () => string | undefined;
  readonly heartbeats?: HeartbeatOptions;
  /** Default 10 minutes. */
  readonly orphanMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface OpenExecutor {
  readonly executor: Executor;
  /** Settles when it has left; rejects with why it never will have a driver. */
  readonly done: Promise<void>;
  close(): Promise<void>;
}

/** Rejects with what the analysis refuses, and with EXECUTOR_NOTHING for a query that only its driver can compute. */
export async function openExecutor(query: StreamQuery, options: ExecutorProcessOptions): Promise<OpenExecutor> {
  const { clock = systemClock, maxParallelism = 128, directory, storageOptions = {}, host } = options;
  const executorId = options.executorId ?? `executor-${randomBytes(4).toString("hex")}`;
  const log = (options.log ?? silentLog).child({ query: query.name, executorId });
  const opened: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    await mkdir(directory, { recursive: true });
    opened.push(() => rm(directory, { recursive: true, force: true }));
    const kernel = await Kernel.open({ directory: join(directory, "analysis"), ...options.kernel });
    const stages = buildStages(await analyze(query.relation, kernel).finally(() => kernel.close()), query.mode);
    const distribution = distribute(stages);
    if ("reason" in distribution)
      throw new MillraceError(
        "EXECUTOR_NOTHING",
        `query ${query.name}`,
        `only its driver can compute it: ${distribution.reason}`,
        "start it without executors",
      );
    const storage = await (options.openStorage ?? openStorage)(options.checkpointLocation, storageOptions);
    opened.push(() => storage.close());
    const client = new OutputClient(options.tls, options.token);
    opened.push(() => client.close());
    const worker = new TaskWorker({
      ...{ executorId, queryName: query.name, stages, distribution, maxParallelism, storage, storageOptions, client, clock, log },
      kernel: options.kernel ?? {},
      directory: join(directory, "work"),
      stateBackend: options.stateBackend ?? memoryBackend(),
      outputBytes: options.outputBytes ?? 256 * 1024 * 1024,
    });
    opened.push(() => worker.close());
    const server = await startOutputServer(worker.outputs, { host, port: options.port ?? 0, tls: options.tls, token: options.token, log });
    opened.push(() => server.close());
    worker.address = `${options.advertise ?? host}:${server.port}`;
    const executor = new Executor({
      ...{ executorId, queryName: query.name, slots: options.slots ?? 1, driver: options.driver, worker, clock, log },
      fingerprint: planFingerprint(planOf(queryDataflow(query.name, stages, query.sink))),
      ...{ tls: options.tls, token: options.token, heartbeats: options.heartbeats ?? defaultHeartbeats },
      orphanMs: options.orphanMs ?? 600_000,
    });
    const done = executor.run();
    done.catch(() => {});
    opened.push(() => executor.leave(0));
    return { executor, done, close };
  } catch (error) {
    await close();
    throw error;
  }
}
