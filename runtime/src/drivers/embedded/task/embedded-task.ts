// A task: one sub-topology over one partition of its topics, with its state, its producer and its commits.
import { join } from "node:path";
import { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import type { ProducedBatch } from "../../../connectors/kafka/sink/partition-queue.ts";
import { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import type { TransactionOwner } from "../../../connectors/kafka/wire/transaction-apis.ts";
import { messageOf } from "../../../base/errors.ts";
import type { WholeTable } from "../../../core/ports/whole-table.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import { buildTask } from "../../task/build-task.ts";
import type { SinkInstance } from "../../task/sink-instance.ts";
import type { TaskCapture } from "../../task/captures.ts";
import type { TaskRestore } from "../../task/task-parts.ts";
import type { Task } from "../../task/task.ts";
import { TaskChangelog } from "../changelog/task-changelog.ts";
import { RepartitionOutput } from "../exchange/repartition-output.ts";
import type { RepartitionEdge } from "../topology/sub-topologies.ts";
import { exitUid, taskDataflow } from "../topology/task-dataflow.ts";
import type { TaskHost, TaskPlace } from "./task-host.ts";
import { TaskInputs, sharedSource } from "./task-inputs.ts";
import type { ChangelogFollower } from "../changelog/changelog-follower.ts";
import { type RestoreProgress, catchUp, restoreFrom } from "./task-restore.ts";
import { changelogFill, fillFromSavepoint, readFilled } from "../savepoint/fill-changelogs.ts";
import { TaskStores } from "../queries/queryable-state.ts";
import type { TaskCut } from "../savepoint/upload-cut.ts";
import { lettersOf } from "./letter-sink.ts";
import { type TaskFigures, taskFigures } from "./task-figures.ts";
import { taskSink } from "./task-sink.ts";

const watermarkIntervalMs = 200;

export class EmbeddedTask {
  readonly place: TaskPlace;
  readonly stores: TaskStores = new TaskStores();
  readonly #host: TaskHost;
  readonly #producer: RecordProducer;
  readonly #budget: BufferBudget;
  readonly #transactionalId: string | null;
  readonly #outputs = new Map<string, RepartitionOutput>();
  readonly #changelogs = new Map<string, TaskChangelog>();
  #task!: Task;
  #inputs!: TaskInputs;
  #exits: readonly { readonly sink: SinkInstance; readonly output: RepartitionOutput }[] = [];
  readonly #purgedTo = new Map<string, number>();
  #dirty = false;
  #commitUnderWay: Promise<unknown> | undefined;
  #committedAtMs: number;
  #commits = 0;
  #commitMs = 0;
  #closed = false;
  /** The savepoint's attempt that it drains its repartition topics for. */
  #attempt: number | undefined;
  #held = false;

  private constructor(place: TaskPlace, host: TaskHost) {
    this.place = place;
    this.#host = host;
    this.#transactionalId = host.exactlyOnce ? `${host.applicationId}-${place.id}` : null;
    this.#budget = new BufferBudget(host.maxBufferedBytes);
    this.#committedAtMs = host.clock.now();
    const { client, clock, log, random } = host;
    const onStored = (batch: ProducedBatch, offset: number): void => this.#stored(batch, offset);
    this.#producer = new RecordProducer(this.#transactionalId, host.producer, {
      client,
      clock,
      log,
      random,
      budget: this.#budget,
      onStored,
    });
    for (const { uid, topic } of place.subTopology.stores) {
      this.#changelogs.set(uid, new TaskChangelog(this.#producer, this.#producer.queue(topic, place.partition), clock));
    }
  }

  /**
   * Takes the task over: fences whoever ran it before, restores its state, by `followers` that may be warm already, and finds its
   * place in its inputs. `signal` gives it up on the way; whatever was opened is closed then.
   */
  static async open(
    place: TaskPlace,
    host: TaskHost,
    followers: ReadonlyMap<string, ChangelogFollower>,
    progress: RestoreProgress,
    signal: AbortSignal,
  ): Promise<EmbeddedTask> {
    const task = new EmbeddedTask(place, host);
    try {
      // First of all: what an earlier owner still has under way is decided from here on.
      task.#producer.start(await host.client.initProducerId(task.#transactionalId, host.transactionTimeoutMs));
      signal.throwIfAborted();
      const read = (): Promise<void> => catchUp([...followers.values()], progress, signal);
      await read();
      const fill = changelogFill(task.#producer, task.#transactionalId, place.partition, host.client);
      if (await fillFromSavepoint(host, place, followers, fill, signal)) await readFilled(host, followers, read, signal);
      await task.#build(await host.globalTables.filled(place.subTopology.tables, signal), await restoreFrom(followers, signal));
      signal.throwIfAborted();
      task.#inputs = await TaskInputs.open(task.#task, host, place);
      signal.throwIfAborted();
      if (host.keepsCopies) for (const [uid, { copy }] of followers) task.#changelogs.get(uid)?.keep(copy);
      return task;
    } catch (error) {
      await task.closeDirty();
      throw error;
    } finally {
      for (const follower of followers.values()) await follower.close();
    }
  }

  async #build(tables: ReadonlyMap<string, WholeTable>, restore: TaskRestore | undefined): Promise<void> {
    const host = this.#host;
    const { subTopology, id } = this.place;
    const dataflow = taskDataflow(host.applicationId, subTopology, {
      source: (_node, source) => sharedSource(source, host, this.place),
      repartition: (edge) => this.#exit(edge),
      table: ({ uid }) => tables.get(uid) as WholeTable,
      sink: ({ uid }, sink) =>
        taskSink(sink, { host, producer: this.#producer, budget: this.#budget }, (record) => this.#task.badRows.take(uid, record)),
    });
    this.#task = await buildTask({
      jobName: host.applicationId,
      dataflow,
      parallelism: 1,
      maxParallelism: host.maxParallelism,
      clock: host.clock,
      log: host.log.child({ task: id }),
      stateBackend: this.stores.remembering(host.stateBackend),
      workDirectory: join(host.directory, id),
      checkpointIntervalMs: host.commitIntervalMs,
      badRows: host.badRows,
      ...lettersOf(host, this.place, this.#producer, this.#budget),
      ...(restore === undefined ? {} : { restore }),
      wake: () => host.wake(),
    });
    this.#exits = this.#task.sinks.flatMap((sink) => {
      const output = this.#outputs.get(sink.uid);
      return output === undefined ? [] : [{ sink, output }];
    });
  }

  #exit(edge: RepartitionEdge): Sink {
    const { counts, maxParallelism, clock } = this.#host;
    const output = new RepartitionOutput({
      edge,
      partitions: counts[edge.to] as number,
      upstream: this.place.partition,
      maxParallelism,
      producer: this.#producer,
      clock,
      budget: this.#budget,
      watermarkIntervalMs,
    });
    this.#outputs.set(exitUid(edge), output);
    return { connector: "repartition", options: {}, accepts: "retract", delivery: "exactly-once", openWriter: async () => output };
  }

  /** Works for about `forMs`. False when there was nothing to do. */
  turn(forMs: number): boolean {
    const task = this.#task;
    const startedMs = performance.now();
    let worked = false;
    for (;;) {
      if (this.#budget.failure !== undefined) throw this.#budget.failure;
      const mail = task.runMailbox();
      const polled = this.#inputs.step(this.#attempt === undefined);
      const timed = this.#fireTimers();
      if (mail || polled || timed) worked = true;
      if (!polled || performance.now() - startedMs >= forMs || this.full) break;
    }
    this.#advanceExits();
    this.#dirty ||= worked;
    return worked;
  }

  #fireTimers(): boolean {
    const due = this.nextWakeMs() <= this.#host.clock.now();
    if (due) this.#task.fireTimers();
    return due;
  }

  #advanceExits(): void {
    for (const { sink, output } of this.#exits) output.advance(sink.watermarkMs, sink.idle);
  }

  /** Reads no source any more, only what comes by repartition topics, until its cut for a savepoint is made. */
  joinCut(attempt: number): void {
    this.#attempt = attempt;
  }

  /** Does nothing until `release`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#attempt = undefined;
    this.#held = false;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Whether it is time for the cut that it has joined. */
  get cut(): "none" | "waiting" | "ready" | "missed" {
    return this.#attempt === undefined ? "none" : this.#inputs.cutOf(this.#attempt);
  }

  /**
   * The cut: commits, tells downstream by markers that everything before them is part of it, and stands still. What it gives is the
   * task at this commit, and stays true until `release`.
   */
  async makeCut(): Promise<TaskCut> {
    const attempt = this.#attempt;
    if (attempt === undefined) throw new Error(`task ${this.place.id} has joined no cut`);
    this.#held = true;
    const capture = await this.#committed(attempt);
    return { place: this.place, capture, slots: this.#task.operators };
  }

  /** When a timer wants to fire next; Infinity for never. */
  nextWakeMs(): number {
    return Math.min(Infinity, ...this.#task.operators.map(({ instance }) => instance.operator.nextWakeMs?.() ?? Infinity));
  }

  get full(): boolean {
    return this.#task.sinks.some((sink) => sink.isFull) || this.#budget.ready() !== undefined;
  }

  get committing(): boolean {
    return this.#commitUnderWay !== undefined;
  }

  figures(): TaskFigures {
    return taskFigures(this.#task, this.place, this.#commits, this.#commitMs);
  }

  /** Where it stands in its inputs. */
  get inputs(): Pick<TaskInputs, "lag" | "positions"> {
    return this.#inputs;
  }

  /** The time until a commit is due, ms; Infinity while there is nothing to commit. */
  commitDueMs(): number {
    const owes = this.#exits.some(({ output }) => output.owesWatermarks);
    if (!this.#dirty && !owes) return Infinity;
    return this.#committedAtMs + this.#host.commitIntervalMs - this.#host.clock.now();
  }

  /** Makes what was done since the last commit permanent, all of it or nothing: output, state and offsets. */
  async commit(): Promise<void> {
    await this.#committed(undefined);
  }

  async #committed(marker: number | undefined): Promise<TaskCapture> {
    await this.#commitUnderWay;
    const commit = this.#commit(marker);
    this.#commitUnderWay = commit;
    try {
      return await commit;
    } finally {
      this.#commitUnderWay = undefined;
      this.#host.wake();
    }
  }

  async #commit(marker: number | undefined): Promise<TaskCapture> {
    const startedMs = performance.now();
    this.#dirty = false;
    this.#advanceExits();
    const capture = this.#inputs.capture(++this.#commits);
    const offsets = this.#inputs.moved();
    this.#writeChangelogs(capture);
    await Promise.all(capture.sinks.map((sink) => sink.prepared));
    // Rows that waited for their topic's partitions may have become dead letters only now.
    this.#task.badRows.flush();
    if (marker !== undefined) for (const { output } of this.#exits) output.sendMarkers(marker);
    await this.#producer.flush();
    await this.#finish(offsets);
    this.#committedAtMs = this.#host.clock.now();
    this.#commitMs = performance.now() - startedMs;
    return capture;
  }

  async #finish(offsets: ReturnType<TaskInputs["moved"]>): Promise<void> {
    const { client, applicationId } = this.#host;
    if (this.#transactionalId === null) {
      if (offsets.length > 0) await client.commitGroupOffsets(applicationId, offsets, this.#host.member());
    } else if (offsets.length > 0 || this.#producer.hasPartitions) {
      const owner = this.#owner();
      // The transactional id is the fence: it is the task's own, and was taken over before its offsets were read. So the offsets
      // need no membership, and no rebalance under way ever fails a commit.
      if (offsets.length > 0) await client.commitOffsetsInTransaction(owner, applicationId, offsets);
      await client.endTransaction(owner, true);
      this.#producer.transactionEnded();
    }
    this.#inputs.committed(offsets);
    for (const changelog of this.#changelogs.values()) changelog.committed();
  }

  #stored({ topic, partition, count }: ProducedBatch, baseOffset: number): void {
    for (const changelog of this.#changelogs.values()) changelog.stored(topic, partition, baseOffset + count);
  }

  #owner(): TransactionOwner {
    const { identity } = this.#producer;
    if (identity === undefined || this.#transactionalId === null) throw new Error(`task ${this.place.id} has no transaction`);
    return { transactionalId: this.#transactionalId, ...identity };
  }

  #writeChangelogs({ operators }: TaskCapture): void {
    for (const capture of operators) this.#changelogs.get(capture.uid)?.write(capture);
  }

  /** Deletes from the repartition topics what this task has committed. */
  async purge(): Promise<void> {
    for (const { topic, partition, offset } of this.#inputs.spent()) {
      if (offset <= (this.#purgedTo.get(topic) ?? 0)) continue;
      await this.#host.client.deleteRecords(topic, partition, offset);
      this.#purgedTo.set(topic, offset);
    }
  }

  /** Commits what is done, then closes. */
  async closeClean(): Promise<void> {
    try {
      if (!this.#closed) await this.commit();
    } finally {
      await this.closeDirty();
    }
  }

  /** Closes; what was not committed is undone. */
  async closeDirty(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { client, log } = this.#host;
    await this.#producer.close();
    if (this.#transactionalId !== null && this.#producer.identity !== undefined && this.#producer.hasPartitions) {
      try {
        await client.endTransaction(this.#owner(), false);
      } catch (error) {
        // The next owner aborts it when it takes the task over.
        log.debug("a transaction was left open", { task: this.place.id, reason: messageOf(error) });
      }
    }
    // It may have failed before it was built.
    await (this.#task as Task | undefined)?.close();
  }
}
