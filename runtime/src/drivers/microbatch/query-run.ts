// Everything that one run of a streaming query has open, from its analysis to its restored state.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { systemClock } from "../../base/clock.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { silentLog, type Log } from "../../base/log.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import { firstEpochOfRun } from "../../checkpoint/store/latest-pointer.ts";
import type { Restored } from "../../checkpoint/store/restored.ts";
import { analyze } from "../../dataframe/analysis/analyzer.ts";
import { checkMode } from "../../dataframe/analysis/mode-check.ts";
import type { StreamQuery } from "../../dataframe/query.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { type Executors, openExecutors } from "./executors/driver/open-executors.ts";
import { RemoteFeed } from "./executors/driver/remote-feed.ts";
import type { RemoteState } from "./executors/driver/remote-state.ts";
import { Kernel } from "./kernel/kernel.ts";
import { BatchLog } from "./log/batch-log.ts";
import { type Recovery, recoverBatches } from "./log/recovery.ts";
import { checkRunEnd, writeRunEnd } from "./log/run-end.ts";
import { checkIdentity, claimLocation, identityOf, type QueryIdentity } from "./log/query-identity.ts";
import { queryDataflow, watermarkUid } from "./query-dataflow.ts";
import type { QueryOptions } from "./query-options.ts";
import { identityList, QuerySnapshots } from "./query-snapshots.ts";
import { OperatorRunner } from "./run/operator-runner.ts";
import { checkpointIdOf, openSink, type SinkRunner, sinkUid } from "./run/sink-runner.ts";
import { type Feed, SourceFeed } from "./run/source-feed.ts";
import { StageRunner } from "./run/stage-runner.ts";
import { timeColumnsOf, Watermarks } from "./run/watermarks.ts";
import { makeWorkFolder } from "../work-folder.ts";
import { buildStages } from "./stages/build-stages.ts";
import type { BatchStages } from "./stages/stage.ts";

const namePattern = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;

export interface QueryRun {
  readonly query: StreamQuery;
  readonly identity: QueryIdentity;
  readonly stages: BatchStages;
  /** The streaming sources, by uid. */
  readonly feeds: ReadonlyMap<string, Feed>;
  readonly operators: OperatorRunner;
  readonly runner: StageRunner;
  /** The operators whose state is at executors. */
  readonly remote: RemoteState | undefined;
  readonly sink: SinkRunner;
  readonly watermarks: Watermarks;
  readonly batchLog: BatchLog;
  readonly snapshots: QuerySnapshots;
  readonly recovery: Recovery;
  readonly restoredFrom: string | undefined;
  /** The watermark that the last batch of the run before had; -Infinity for none. */
  readonly restoredWatermarkMs: number;
  /** Writes down that this run ends with a savepoint: no driver of it goes on. */
  endRun(savepoint: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens and restores; rejects with why the query cannot run. Whatever was opened is closed again then. */
export async function openQueryRun(query: StreamQuery, options: QueryOptions): Promise<QueryRun> {
  const opened: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) {
      await Promise.resolve(one()).catch((error: unknown) =>
        (options.log ?? silentLog).warn("a part of the query could not be closed", { reason: messageOf(error) }),
      );
    }
  };
  try {
    return await new Opening(query, options, opened).open(close);
  } catch (error) {
    await close();
    throw error;
  }
}

class Opening {
  readonly #query: StreamQuery;
  readonly #options: QueryOptions;
  readonly #opened: (() => Promise<void> | void)[];
  readonly #log: Log;

  constructor(query: StreamQuery, options: QueryOptions, opened: (() => Promise<void> | void)[]) {
    this.#query = query;
    this.#options = options;
    this.#opened = opened;
    this.#log = (options.log ?? silentLog).child({ query: query.name });
  }

  async open(close: () => Promise<void>): Promise<QueryRun> {
    const { name, mode, trigger, sink: target, relation } = this.#query;
    if (!namePattern.test(name))
      throw new MillraceError(
        "OPTION_INVALID",
        `query "${name}"`,
        "has no usable name",
        "use up to 63 lower-case letters, digits, dots and dashes",
      );
    const { clock = systemClock, maxParallelism = 128 } = this.#options;
    const folder = await makeWorkFolder(undefined, this.#log);
    this.#opened.push(() => folder.remove());
    const work = folder.path;
    const kernel = await Kernel.open({ directory: join(work, "kernel"), ...this.#options.kernel });
    this.#opened.push(() => kernel.close());
    const plan = await analyze(relation, kernel);
    checkMode(plan, mode);
    const stages = buildStages(plan, mode);
    const dataflow = queryDataflow(name, stages, target);
    const location = this.#options.checkpointLocation ?? pathToFileURL(join(work, "checkpoint")).href;
    const storage = await (this.#options.openStorage ?? openStorage)(location, this.#options.storageOptions ?? {});
    this.#opened.push(() => storage.close());
    const { restore = {}, allowNonRestoredState = false, run = 0, storageOptions = {} } = this.#options;
    if (run > 0) await checkRunEnd(storage, `${name}/`, run);
    const identity = await claimLocation(storage, `${name}/`, identityOf(dataflow, mode, randomUUID()), allowNonRestoredState);
    const parts = {
      ...{ storage, storageOptions, dataflow, maxParallelism, run, restore, allowNonRestoredState },
      ...{ retained: this.#options.retained ?? 3, log: this.#log, clock },
    };
    const snapshots = await QuerySnapshots.open(parts, (found) => {
      const stored = storedIdentity(found);
      if (stored !== undefined) checkIdentity(stored, identity, allowNonRestoredState, `snapshot ${found.url}`);
    });
    this.#opened.push(() => snapshots.close());
    const batchLog = new BatchLog(storage, `${name}/`, firstEpochOfRun(restore.sinceRun ?? 0));
    const recovery = await recoverBatches(batchLog, snapshots, `checkpoint location ${storage.url}/${name}`);
    const watermarks = this.#watermarks(stages, snapshots);
    const executors = await this.#openExecutors(stages, dataflow);
    const elsewhere = executors?.distribution.operators ?? [];
    const local = stages.operators.filter((stage) => !elsewhere.includes(stage));
    const operators = await OperatorRunner.open(local, {
      maxParallelism,
      stateBackend: this.#options.stateBackend ?? memoryBackend(),
      workDirectory: join(work, "state"),
      clock,
      log: this.#log,
      restored: snapshots.restored,
      watermarkMs: restoredWatermark(snapshots, "previous"),
    });
    this.#opened.push(() => operators.close(this.#log));
    const remote = executors?.state({
      base: snapshots.restored === undefined ? undefined : { checkpointId: snapshots.restored.checkpointId, url: snapshots.restored.url },
      lastWatermarkMs: restoredWatermark(snapshots, "previous"),
      baseDue: (uid, keyGroups) => snapshots.baseDue(uid, keyGroups),
    });
    const runner = await StageRunner.open(kernel, stages, operators, remote);
    const feeds = await this.#openFeeds(stages, runner, snapshots, trigger.kind === "availableNow" || trigger.kind === "once", executors);
    remote?.use(feeds as ReadonlyMap<string, RemoteFeed>);
    executors?.pool.open(snapshots.epoch, executors.steps);
    const triggerMs = trigger.kind === "processingTime" ? Math.max(trigger.intervalMs, 1000) : 10_000;
    const { restored } = snapshots;
    const sink = await openSink(target, {
      queryName: name,
      queryId: identity.id,
      schema: stages.result.schema,
      clock,
      log: this.#log,
      triggerMs,
      restored:
        restored === undefined
          ? undefined
          : {
              checkpointId: restored.checkpointId,
              committed: restored.committed || (snapshots.ownRestored && !recovery.commitMissing),
              states: restored.sinkStates(sinkUid) ?? [],
            },
    });
    this.#opened.push(() => sink.close());
    if (snapshots.ownRestored && restored?.committed === false) await snapshots.markCommitted(checkpointIdOf(recovery.lastBatchId));
    return {
      query: this.#query,
      identity,
      stages,
      feeds,
      operators,
      runner,
      remote,
      sink,
      watermarks,
      batchLog,
      snapshots,
      recovery,
      restoredFrom: restored?.url,
      restoredWatermarkMs: restoredWatermark(snapshots, "previous"),
      endRun: async (savepoint) => {
        if (run > 0) await writeRunEnd(storage, `${name}/`, { run, savepoint });
      },
      close,
    };
  }

  async #openExecutors(stages: BatchStages, dataflow: Dataflow): Promise<Executors | undefined> {
    const { executors: asked, clock = systemClock, maxParallelism = 128 } = this.#options;
    if (asked === undefined) return undefined;
    const fingerprint = planFingerprint(planOf(dataflow));
    const opened = await openExecutors(asked, { stages, queryName: this.#query.name, fingerprint, maxParallelism, clock, log: this.#log });
    if (opened !== undefined) this.#opened.push(() => opened.close());
    return opened;
  }

  #watermarks(stages: BatchStages, snapshots: QuerySnapshots): Watermarks {
    const delays = stages.watermarks.map(({ delayMs }) => delayMs);
    const policy = this.#options.multipleWatermarkPolicy ?? "min";
    if (snapshots.restored === undefined) return new Watermarks(delays, policy, undefined);
    const each = delays.map((_delay, index) => snapshots.number(watermarkUid(index), "reached", "reached"));
    const latest = delays.map((_delay, index) => snapshots.number(watermarkUid(index), "reached", "latest"));
    return new Watermarks(delays, policy, { currentMs: restoredWatermark(snapshots, "current"), each, latest });
  }

  async #openFeeds(
    stages: BatchStages,
    runner: StageRunner,
    snapshots: QuerySnapshots,
    bounded: boolean,
    executors: Executors | undefined,
  ): Promise<ReadonlyMap<string, Feed>> {
    const feeds = new Map<string, Feed>();
    const { clock = systemClock } = this.#options;
    for (const table of stages.tables) {
      if (table.rows.kind !== "scan") continue;
      const scan = table.rows;
      const parts = {
        scan,
        table: runner.loaderOf(table),
        jobName: this.#query.name,
        clock,
        log: this.#log,
        timeColumns: timeColumnsOf(stages, scan),
      };
      if (!table.streaming) {
        // An input that is no stream is read whole, once per run.
        const feed = await SourceFeed.open({ ...parts, bounded: true }, undefined);
        try {
          await feed.poll(Infinity, Infinity);
        } finally {
          await feed.close();
        }
        continue;
      }
      const restored = snapshots.source(scan.uid);
      const from =
        restored === undefined
          ? undefined
          : { splits: restored.splits.map(({ split }) => split), finished: restored.finished, enumerator: restored.enumerator };
      const feed =
        executors === undefined
          ? await SourceFeed.open({ ...parts, bounded }, from)
          : await RemoteFeed.open({ ...parts, bounded, ...executors }, from);
      this.#opened.push(() => feed.close());
      feeds.set(scan.uid, feed);
    }
    return feeds;
  }
}

/** The query that wrote a snapshot; undefined for one that is no query's. */
function storedIdentity(restored: Restored): QueryIdentity | undefined {
  const entry = restored.operatorState(sinkUid, identityList, 0, 1).find(({ key }) => key === identityList);
  return entry === undefined ? undefined : (JSON.parse(Buffer.from(entry.value).toString("utf8")) as QueryIdentity);
}

// `current`: what the next batch runs with. `previous`: what the last one ran with.
function restoredWatermark(snapshots: QuerySnapshots, which: "current" | "previous"): number {
  return snapshots.number(watermarkUid(0), "reached", which);
}
