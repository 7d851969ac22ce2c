// The operators of a query whose state is at executors: gives each part its rows, takes what comes out, knows what to publish.
import { MillraceError } from "../../../../base/errors.ts";
import type { UploadAck } from "../../../../checkpoint/upload/ack.ts";
import type { Log } from "../../../../base/log.ts";
import { keyGroupRange } from "../../../../plan/key-groups.ts";
import type { OperatorFigures } from "../../run/operator-runner.ts";
import type { RemoteStages, TakeRows } from "../../run/stage-runner.ts";
import type { OperatorStage, RowsStage } from "../../stages/stage.ts";
import type { Channel, Distribution } from "../distribution.ts";
import { finiteOrNull, type OutputRef, type PartitionName, partitionKey, type StateResult, type StateTask } from "../messages.ts";
import { type OutputClient, OutputMissing } from "../output-server.ts";
import { readFrames } from "../row-frames.ts";
import type { ExecutorPool } from "./executor-pool.ts";
import type { RemoteFeed } from "./remote-feed.ts";
import type { StepRunner } from "./step-runner.ts";

export interface RemoteStateParts {
  readonly distribution: Distribution;
  readonly pool: ExecutorPool;
  readonly steps: StepRunner;
  readonly client: OutputClient;
  /** Parts of each operator's state. */
  readonly partitions: number;
  readonly maxParallelism: number;
  /** What the query was restored from. */
  readonly base: { readonly checkpointId: number; readonly url: string } | undefined;
  readonly lastWatermarkMs: number;
  readonly baseDue: (uid: string, keyGroups: { readonly from: number; readonly to: number }) => boolean;
  readonly log: Log;
}

/** An output is made again so often before its batch is given up. */
const maxMends = 5;

export class RemoteState implements RemoteStages {
  readonly #parts: RemoteStateParts;
  #feeds: ReadonlyMap<string, RemoteFeed> = new Map();
  #base: RemoteStateParts["base"];
  #lastWatermarkMs: number;
  #watermarkMs: number;
  #checkpointId = 0;
  /** Of the batch, by part of the state. */
  readonly #results = new Map<string, { readonly name: PartitionName; readonly stage: OperatorStage; readonly result: StateResult }>();
  readonly #status = new Map<OperatorStage, { figures: OperatorFigures; state: StateResult["state"]; nextWakeMs: number }>();

  constructor(parts: RemoteStateParts) {
    this.#parts = parts;
    this.#base = parts.base;
    this.#lastWatermarkMs = parts.lastWatermarkMs;
    this.#watermarkMs = parts.lastWatermarkMs;
  }

  use(feeds: ReadonlyMap<string, RemoteFeed>): void {
    this.#feeds = feeds;
  }

  /** The batch that is run now ends in this checkpoint. */
  begin(checkpointId: number): void {
    this.#checkpointId = checkpointId;
    this.#release();
  }

  has(stage: RowsStage): boolean {
    return this.#channelOf(stage) !== undefined || this.#parts.distribution.operators.includes(stage as OperatorStage);
  }

  // Channels to operators are the executors' own affair; the driver asks for that of the result.
  #channelOf(stage: RowsStage): Channel | undefined {
    return this.#parts.distribution.channels.find((channel) => channel.target === undefined && channel.stage === stage);
  }

  latestMs(sql: string): number | undefined {
    const own = this.#parts.distribution.watermarkSql.find((one) => one.sql === sql);
    if (own === undefined) return undefined;
    return Math.max(-Infinity, ...[...own.scans].map((uid) => this.#feeds.get(uid)?.latestSqlMs.get(sql) ?? -Infinity));
  }

  async run(stage: RowsStage, watermarkMs: number, take: TakeRows): Promise<void> {
    this.#watermarkMs = watermarkMs;
    const channel = this.#channelOf(stage);
    if (channel !== undefined) return this.#result(channel, take);
    await this.#operator(stage as OperatorStage, take);
  }

  async #result({ name, scans, stage }: Channel, take: TakeRows): Promise<void> {
    for (const uid of scans) {
      const feed = this.#feeds.get(uid) as RemoteFeed;
      for (let index = 0; index < feed.outputs.length; index++) {
        const frames = await this.#again(
          () => this.#parts.client.fetch(feed.outputs[index] as OutputRef, `${name}/0`),
          (missing) => feed.mend(missing),
        );
        await readFrames(stage.schema, frames, take);
      }
    }
  }

  async #operator(stage: OperatorStage, take: TakeRows): Promise<void> {
    const { partitions, client } = this.#parts;
    const names = Array.from({ length: partitions }, (_, subtask) => ({ uid: stage.uid, subtask, parallelism: partitions }));
    await this.#process(stage, names);
    for (const name of names) {
      const frames = await this.#again(
        () => client.fetch(this.#resultOf(name).output, "rows"),
        // The executor is gone with what it gave out and with this part of the state: both are made again elsewhere.
        () => this.#process(stage, [name]),
      );
      await readFrames(stage.schema, frames, take);
    }
    this.#note(stage, names);
  }

  async #again<T>(attempt: () => Promise<T>, mend: (missing: OutputRef) => Promise<void>): Promise<T> {
    for (let mends = 0; ; mends++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof OutputMissing)) throw error;
        if (mends >= maxMends)
          throw new MillraceError(
            "EXECUTOR_OUTPUT_LOST",
            error.ref.output,
            error.message,
            "see why executors end; the next start runs the batch again",
          );
        await mend(error.ref);
      }
    }
  }

  async #process(stage: OperatorStage, names: readonly PartitionName[]): Promise<void> {
    const { steps, pool } = this.#parts;
    const tasks = names.map((name) => ({
      preferred: pool.holderOf(partitionKey(name), this.#base?.checkpointId ?? 0),
      make: (): StateTask => this.#task(stage, name),
    }));
    const results = (await steps.run(tasks, (missing) => this.#mend(missing))) as readonly StateResult[];
    names.forEach((name, index) => this.#results.set(partitionKey(name), { name, stage, result: results[index] as StateResult }));
  }

  async #mend(missing: OutputRef): Promise<void> {
    for (const feed of this.#feeds.values()) await feed.mend(missing);
  }

  #task(stage: OperatorStage, partition: PartitionName): StateTask {
    const { maxParallelism, distribution, baseDue } = this.#parts;
    const inputs = stage.inputs.map((_input, index) => {
      const channel = distribution.channels.find(({ target }) => target?.operator === stage && target.input === index) as Channel;
      return [...channel.scans].flatMap((uid) => this.#feeds.get(uid)?.outputs ?? []);
    });
    return {
      ...{ kind: "state", partition, checkpointId: this.#checkpointId, inputs },
      base: this.#base ?? null,
      lastWatermarkMs: finiteOrNull(this.#lastWatermarkMs),
      watermarkMs: finiteOrNull(this.#watermarkMs),
      baseDue: baseDue(stage.uid, keyGroupRange(partition.subtask, partition.parallelism, maxParallelism)),
    };
  }

  #resultOf(name: PartitionName): StateResult {
    return (this.#results.get(partitionKey(name)) as { readonly result: StateResult }).result;
  }

  #note(stage: OperatorStage, names: readonly PartitionName[]): void {
    const results = names.map((name) => this.#resultOf(name));
    const total = (of: (result: StateResult) => number): number => results.reduce((sum, result) => sum + of(result), 0);
    this.#status.set(stage, {
      figures: {
        rowsIn: total(({ figures }) => figures.rowsIn),
        rowsOut: total(({ figures }) => figures.rowsOut),
        lateRows: total(({ figures }) => figures.lateRows),
        updateMs: total(({ figures }) => figures.updateMs),
        removalMs: total(({ figures }) => figures.removalMs),
      },
      state: {
        entries: total(({ state }) => state.entries),
        memory: total(({ state }) => state.memory),
        disk: total(({ state }) => state.disk),
      },
      nextWakeMs: Math.min(Infinity, ...results.map(({ nextWakeMs }) => nextWakeMs ?? Infinity)),
    });
    const restored = results.filter((result) => result.restored).length;
    if (restored > 0 && this.#base !== undefined)
      this.#parts.log.info("state opened", { uid: stage.uid, parts: restored, of: results.length });
  }

  /** What executors wrote of the batch's changes. */
  get acks(): readonly UploadAck[] {
    return [...this.#results.values()].map(({ result }) => result.ack);
  }

  /** The batch's checkpoint is published: what executors have is its state. */
  published(checkpointId: number, url: string): void {
    const { pool } = this.#parts;
    this.#base = { checkpointId, url };
    this.#lastWatermarkMs = this.#watermarkMs;
    const results = [...this.#results.values()];
    for (const { name, result } of results) pool.holds(result.output.executorId, partitionKey(name), checkpointId);
    pool.broadcast((executorId) => ({
      kind: "published",
      checkpointId,
      partitions: results.filter(({ result }) => result.output.executorId === executorId).map(({ name }) => name),
    }));
    this.#release();
    pool.letGo();
  }

  /** A batch that waits for executors, now or later, is given up. */
  giveUpWaiting(): void {
    this.#parts.steps.giveUpWaiting();
  }

  /** The batch under way is given up. */
  abort(): void {
    this.#parts.steps.close();
  }

  #release(): void {
    const outputs = [...this.#results.values()].map(({ result }) => result.output.output);
    this.#results.clear();
    if (outputs.length > 0) this.#parts.pool.broadcast(() => ({ kind: "release", outputs, groups: [] }));
  }

  /** When the next timer of processing time is due, ms since the epoch; Infinity for none. */
  nextWakeMs(): number {
    return Math.min(Infinity, ...[...this.#status.values()].map(({ nextWakeMs }) => nextWakeMs));
  }

  status(): readonly { readonly stage: OperatorStage; readonly figures: OperatorFigures; readonly state: StateResult["state"] }[] {
    return [...this.#status].map(([stage, { figures, state }]) => ({ stage, figures, state }));
  }
}
