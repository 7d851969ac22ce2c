// Runs something in batches and answers for it: REST, metrics, a live line, and an end in order.
import type { Log } from "../../base/log.ts";
import type { ExecutorOptions } from "../../drivers/microbatch/executors/driver/open-executors.ts";
import type { QueryProgress } from "../../drivers/microbatch/progress.ts";
import type { QueryRestore } from "../../drivers/microbatch/query-options.ts";
import type { RunningBatches } from "../../drivers/microbatch/running-batches.ts";
import { tokenReader } from "../rest/auth.ts";
import { startRestServer } from "../rest/rest-server.ts";
import type { RunConfig } from "../run/run-config.ts";
import { onStopSignals } from "../run/stop-signals.ts";
import type { Terminal } from "../run/terminal.ts";
import { FramesControl } from "./frames-control.ts";
import { openFramesMetrics } from "./frames-metrics.ts";
import { framesOpenApiDocument } from "./frames-openapi.ts";
import { addFramesRoutes } from "./frames-routes.ts";
import { queryLine } from "./progress-line.ts";

/** Where a query answers, and as which run of it. */
export interface QueryServing {
  readonly host: string;
  readonly port: number;
  readonly tokenFile: string | undefined;
  readonly run: number;
  readonly restore: QueryRestore;
  /** Told at the end what `/v1/query` would answer. */
  readonly ended?: (query: object) => void;
  /** Where executors connect to; undefined for a query that its driver computes. */
  readonly executors: ExecutorOptions | undefined;
  /** Ends the query where it stands: it cannot go on, for a reason that whoever aborts tells. */
  readonly givenUp?: AbortSignal;
}

export interface BatchNews {
  readonly onProgress: (progress: QueryProgress) => void;
  /** Told how to ask which executors there are. */
  readonly onPool: (status: () => readonly object[]) => void;
}

export interface StartedBatches {
  readonly running: RunningBatches;
  /** What its log says of it at the start. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** Resolves with how it ended; rejects when it failed. It answers as restoring until `start` has settled. */
export async function serveBatches(
  name: string,
  config: RunConfig,
  serving: QueryServing,
  terminal: Terminal,
  log: Log,
  start: (news: BatchNews) => Promise<StartedBatches>,
): Promise<"finished" | "stopped"> {
  const { render, observe } = await openFramesMetrics(name);
  let executors = (): readonly object[] => [];
  const control = new FramesControl({ name, run: serving.run, config, metrics: render, executors: () => executors() });
  const server = await startRestServer(control, {
    host: serving.host,
    port: serving.port,
    token: tokenReader(serving.tokenFile),
    more: { routes: (app) => addFramesRoutes(app, control), document: framesOpenApiDocument },
  });
  let stopSignals = (): void => {};
  try {
    const { running, about } = await start({
      onPool: (status) => {
        executors = status;
      },
      onProgress: (progress) => {
        observe(progress);
        log.debug("progress", { progress });
        terminal.live(queryLine(progress, terminal.columns));
      },
    });
    control.use(running);
    stopSignals = onStopSignals(() => {
      const mode = config.batches.stopMode ?? "batch";
      log.info(mode === "batch" ? "stopping behind the batch under way" : "giving up the batch under way", {});
      running.stop(mode).catch((error: unknown) => log.error("stop failed", { reason: String(error) }));
    });
    const giveUp = (): void => {
      running.stop("immediate").catch(() => {});
    };
    if (serving.givenUp?.aborted === true) giveUp();
    serving.givenUp?.addEventListener("abort", giveUp, { once: true });
    const restoredFrom = running.restoredFrom ?? "nothing";
    log.info("query running", { query: name, ...about, storage: config.storage ?? "none", restoredFrom, rest: server.url });
    const ended = await running.done;
    terminal.end();
    log.info(`query ${ended}`, { lastBatchId: running.lastBatchId });
    return ended;
  } finally {
    terminal.end();
    stopSignals();
    serving.ended?.(control.query());
    await server.close();
  }
}
