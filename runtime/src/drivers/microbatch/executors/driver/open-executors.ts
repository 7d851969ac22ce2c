// The driver's side of executors, put together: the pool that listens, the runner of steps, the state that is elsewhere.
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import { defaultHeartbeats, type HeartbeatOptions } from "../../../cluster/rpc/connection.ts";
import type { TlsSource } from "../../../tls/tls-files.ts";
import type { BatchStages } from "../../stages/stage.ts";
import { type Distribution, distribute } from "../distribution.ts";
import { OutputClient } from "../output-server.ts";
import { ExecutorPool } from "./executor-pool.ts";
import { RemoteState, type RemoteStateParts } from "./remote-state.ts";
import { StepRunner } from "./step-runner.ts";

/** How a driver works with executors. */
export interface ExecutorOptions {
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  readonly tls?: TlsSource;
  readonly token?: () => string | undefined;
  readonly heartbeats?: HeartbeatOptions;
  /** Parts of each operator's state: tasks with state of a batch. */
  readonly partitions: number;
  /** What a batch takes of a source is divided among at least about so many tasks, where the source can be divided. Default: a task for each slot, or split. */
  readonly minPartitions?: number | undefined;
  /** Default 4. */
  readonly maxTaskAttempts?: number;
  /** A slow task is started a second time. Default false. */
  readonly speculation?: boolean;
  /** Told where executors connect to. */
  readonly onListening?: (port: number) => void;
  /** Told how to see who is there. */
  readonly onPool?: (status: () => readonly object[]) => void;
}

export interface Executors {
  readonly distribution: Distribution;
  readonly pool: ExecutorPool;
  readonly steps: StepRunner;
  readonly client: OutputClient;
  readonly partitions: number;
  readonly minPartitions: number;
  state(parts: Pick<RemoteStateParts, "base" | "lastWatermarkMs" | "baseDue">): RemoteState;
  close(): Promise<void>;
}

export interface ExecutorsParts {
  readonly stages: BatchStages;
  readonly queryName: string;
  readonly fingerprint: string;
  readonly maxParallelism: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Listens for executors; undefined, with a word in the log, for a query that only the driver can compute. */
export async function openExecutors(options: ExecutorOptions, parts: ExecutorsParts): Promise<Executors | undefined> {
  const { stages, queryName, fingerprint, maxParallelism, clock, log } = parts;
  const distribution = distribute(stages);
  if ("reason" in distribution) {
    log.warn("executors have nothing to do: the driver computes this query", { reason: distribution.reason });
    return undefined;
  }
  const pool = new ExecutorPool({
    ...{ query: queryName, fingerprint, clock, log, host: options.host, port: options.port },
    ...{ tls: options.tls, token: options.token, heartbeats: options.heartbeats ?? defaultHeartbeats },
    ...{ maxFailures: 3, failureMs: 600_000, excludedMs: 300_000 },
  });
  const steps = new StepRunner(
    pool,
    {
      maxAttempts: options.maxTaskAttempts ?? 4,
      localityWaitMs: 3000,
      speculation: options.speculation === true ? { times: 3, leastMs: 500 } : undefined,
    },
    clock,
    log,
  );
  const client = new OutputClient(options.tls, options.token);
  await pool.listen();
  options.onListening?.(pool.port);
  options.onPool?.(() => pool.status());
  const { partitions } = options;
  return {
    ...{ distribution, pool, steps, client, partitions, minPartitions: options.minPartitions ?? 0 },
    state: (more) => new RemoteState({ distribution, pool, steps, client, partitions, maxParallelism, log, ...more }),
    async close() {
      steps.close();
      client.close();
      await pool.close();
    },
  };
}
