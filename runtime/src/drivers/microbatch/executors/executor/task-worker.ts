// What an executor has for its tasks: readers, kernels, parts of the state, outputs. Runs one task after the other or several at once.
import { join } from "node:path";
import { messageOf } from "../../../../base/errors.ts";
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import { openSnapshot } from "../../../../checkpoint/store/open-snapshot.ts";
import { Restored } from "../../../../checkpoint/store/restored.ts";
import { StoredSnapshot } from "../../../../checkpoint/store/stored-snapshot.ts";
import type { StorageOptions } from "../../../../checkpoint/storage/open-storage.ts";
import type { SnapshotStorage } from "../../../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../../../core/ports/state-backend.ts";
import type { KernelOptions } from "../../kernel/kernel.ts";
import { timeColumnsOf } from "../../run/watermarks.ts";
import { SplitReader } from "../../run/split-reader.ts";
import type { BatchStages, OperatorStage, ScanStage } from "../../stages/stage.ts";
import type { Distribution } from "../distribution.ts";
import {
  type ExecutorTask,
  type OutputRef,
  type PartitionName,
  partitionKey,
  type ReadTask,
  type SplitGroup,
  type StateTask,
  type TaskResult,
} from "../messages.ts";
import { type OutputClient, OutputMissing, splitFrames } from "../output-server.ts";
import { OutputStore } from "./output-store.ts";
import { ReadRunner, type ReadRunnerParts } from "./read-runner.ts";
import { StatePartition } from "./state-partition.ts";

export interface TaskWorkerParts {
  readonly executorId: string;
  readonly queryName: string;
  readonly stages: BatchStages;
  readonly distribution: Distribution;
  readonly maxParallelism: number;
  readonly kernel: KernelOptions;
  readonly directory: string;
  readonly stateBackend: StateBackendFactory;
  readonly storage: SnapshotStorage;
  readonly storageOptions: StorageOptions;
  /** What outputs may take of memory; more goes to files. */
  readonly outputBytes: number;
  readonly client: OutputClient;
  readonly clock: Clock;
  readonly log: Log;
}

interface OpenReader {
  readonly bounded: boolean;
  readonly reader: SplitReader;
  /** One at a time. */
  busy: Promise<unknown>;
  isClosed: boolean;
}

export class TaskWorker {
  readonly outputs: OutputStore;
  /** host:port of this executor's outputs. */
  address = "";
  readonly #parts: TaskWorkerParts;
  readonly #readers = new Map<string, OpenReader>();
  readonly #idle: ReadRunner[] = [];
  readonly #partitions = new Map<string, { readonly name: PartitionName; readonly state: StatePartition }>();
  readonly #busy = new Map<string, Promise<unknown>>();
  #restored: { readonly url: string; readonly storage: SnapshotStorage; readonly snapshot: Promise<Restored> } | undefined;
  #epoch = 0;
  #opened = 0;

  constructor(parts: TaskWorkerParts) {
    this.#parts = parts;
    this.outputs = new OutputStore(join(parts.directory, "outputs"), parts.outputBytes);
  }

  /** The parts of the state that are here and published. */
  get held(): readonly { readonly partition: PartitionName; readonly checkpointId: number }[] {
    return [...this.#partitions.values()]
      .filter(({ state }) => state.isPublished)
      .map(({ name, state }) => ({ partition: name, checkpointId: state.checkpointId }));
  }

  /** A driver has taken this executor: what an earlier one left half done is void. */
  async begin(epoch: number): Promise<void> {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    await Promise.allSettled(this.#busy.values());
    for (const [key, { state }] of this.#partitions) {
      if (state.isPublished) state.setEpoch(epoch);
      else await this.#drop(key);
    }
    await this.outputs.clear();
    await this.#endReaders();
  }

  async run(task: ExecutorTask, output: string): Promise<TaskResult> {
    return task.kind === "read" ? this.#read(task, output) : this.#state(task, output);
  }

  /** What waits in a group's splits; null where the connector does not know. */
  async look(group: SplitGroup, bounded: boolean, maxMs: number): Promise<Readonly<Record<string, number>> | null> {
    return this.#withReader(group, bounded, async (open) => {
      // Who asks may be behind a task that has read meanwhile: only a reader that has nothing yet is sent somewhere.
      if (open.reader.splits.length === 0) await this.#place(open, group);
      const lags = await open.reader.settledLags(maxMs);
      return lags === undefined ? null : Object.fromEntries(lags);
    });
  }

  async #read(task: ReadTask, output: string): Promise<TaskResult> {
    return this.#withReader(task.group, task.bounded, async (open) => {
      if (task.work.kind === "poll") await this.#place(open, task.group);
      const runner = this.#idle.pop() ?? (await ReadRunner.open(this.#runnerParts()));
      try {
        const { result, parts } = await runner.run(task, open.reader);
        await this.outputs.put(output, parts);
        return { ...result, output: this.#ref(output) };
      } catch (error) {
        // Where the reader stands is not known: the next task opens it anew.
        await this.#end(task.group.name, open);
        throw error;
      } finally {
        this.#idle.push(runner);
      }
    });
  }

  #runnerParts(): ReadRunnerParts {
    const { queryName, stages, distribution, maxParallelism, kernel, directory, clock, log } = this.#parts;
    const own = join(directory, `runner-${this.#opened++}`);
    return { queryName, stages, distribution, maxParallelism, kernel, directory: own, clock, log };
  }

  async #readerOf(group: SplitGroup, bounded: boolean): Promise<OpenReader> {
    const known = this.#readers.get(group.name);
    if (known?.bounded === bounded) return known;
    if (known !== undefined) await this.#endReader(group.name, known);
    const { stages, queryName, clock, log } = this.#parts;
    const scan = stages.scans.find(({ uid }) => uid === group.scan) as ScanStage;
    const reader = await SplitReader.open({ scan, jobName: queryName, clock, log, bounded, timeColumns: timeColumnsOf(stages, scan) });
    const open = { bounded, reader, busy: Promise.resolve(), isClosed: false };
    // Another task of the group may have opened one meanwhile.
    const other = this.#readers.get(group.name);
    if (other !== undefined) await this.#endReader(group.name, other);
    this.#readers.set(group.name, open);
    return open;
  }

  // A reader that stands where the batch begins goes on; any other one is opened anew.
  async #place({ reader }: OpenReader, { splits }: SplitGroup): Promise<void> {
    const here = new Map(reader.splits.map(({ id, position }) => [id, JSON.stringify(position ?? null)]));
    const stands = here.size === splits.length && splits.every(({ id, position }) => here.get(id) === JSON.stringify(position ?? null));
    if (!stands) await reader.reopen(splits);
  }

  async #withReader<T>(group: SplitGroup, bounded: boolean, work: (open: OpenReader) => Promise<T>): Promise<T> {
    const open = await this.#readerOf(group, bounded);
    // It may be let go before its turn comes.
    return this.#alone(open, () => (open.isClosed ? this.#withReader(group, bounded, work) : work(open)));
  }

  #alone<T>(open: OpenReader, work: () => Promise<T>): Promise<T> {
    const done = open.busy.then(work, work);
    open.busy = done.catch(() => {});
    return done;
  }

  // A task that reads goes on to its end: its result is waited for, also when nobody will read with this reader again.
  #endReader(name: string, open: OpenReader): Promise<void> {
    return this.#alone(open, () => this.#end(name, open));
  }

  async #end(name: string, open: OpenReader): Promise<void> {
    if (open.isClosed) return;
    if (this.#readers.get(name) === open) this.#readers.delete(name);
    open.isClosed = true;
    await open.reader.close();
  }

  // At once: tasks that read fail.
  async #endReaders(): Promise<void> {
    const all = [...this.#readers];
    for (const [name, open] of all) await this.#end(name, open);
    await Promise.allSettled(all.map(([, { busy }]) => busy));
  }

  async #state(task: StateTask, output: string): Promise<TaskResult> {
    // Everything that can be missing is there before the state is touched.
    const inputs = await Promise.all(
      task.inputs.map((refs, input) => this.#fetch(refs, `${task.partition.uid}/${input}/${task.partition.subtask}`)),
    );
    const key = partitionKey(task.partition);
    const before = this.#busy.get(key) ?? Promise.resolve();
    const work = before.then(
      () => this.#process(task, key, inputs, output),
      () => this.#process(task, key, inputs, output),
    );
    this.#busy.set(
      key,
      work.catch(() => {}),
    );
    return work;
  }

  async #fetch(refs: readonly OutputRef[], part: string): Promise<readonly ArrayBuffer[]> {
    const all = await Promise.all(
      refs.map(async (ref) => {
        if (ref.executorId !== this.#parts.executorId) return this.#parts.client.fetch(ref, part);
        const own = await this.outputs.get(ref.output, part);
        if (own === undefined) throw new OutputMissing(ref, "it is not here");
        return splitFrames(own);
      }),
    );
    return all.flat();
  }

  async #process(task: StateTask, key: string, inputs: readonly (readonly ArrayBuffer[])[], output: string): Promise<TaskResult> {
    const wanted = task.base?.checkpointId ?? 0;
    let held = this.#partitions.get(key);
    // A part that is another checkpoint's, or was changed by a batch that came to nothing, is no beginning.
    if (held !== undefined && (held.state.checkpointId !== wanted || !held.state.isPublished)) {
      await this.#drop(key);
      held = undefined;
    }
    const restored = held === undefined;
    held ??= { name: task.partition, state: await this.#open(task) };
    this.#partitions.set(key, held);
    try {
      const { result, frames } = await held.state.run(task, inputs);
      await this.outputs.put(output, new Map([["rows", frames]]));
      return { ...result, restored, output: this.#ref(output) };
    } catch (error) {
      await this.#drop(key);
      throw error;
    }
  }

  async #open(task: StateTask): Promise<StatePartition> {
    const { stages, maxParallelism, stateBackend, directory, clock, log, storage, queryName } = this.#parts;
    const stage = stages.operators.find(({ uid }) => uid === task.partition.uid) as OperatorStage;
    const restored = task.base === null ? undefined : await this.#snapshot(task.base.url);
    const own = join(directory, `state-${this.#opened++}`);
    const parts = { name: task.partition, stage, maxParallelism, stateBackend, directory: own, clock, log, storage };
    return StatePartition.open(
      { ...parts, folder: `${queryName}/`, epoch: this.#epoch },
      restored,
      task.base?.checkpointId ?? 0,
      task.lastWatermarkMs ?? -Infinity,
    );
  }

  // The parts of one checkpoint that come here are read from it one after the other.
  async #snapshot(url: string): Promise<Restored> {
    if (this.#restored?.url !== url) {
      const before = this.#restored;
      const { storage, folder } = await openSnapshot(url, this.#parts.storageOptions);
      this.#restored = { url, storage, snapshot: StoredSnapshot.open(storage, folder).then((snapshot) => Restored.load(snapshot)) };
      this.#restored.snapshot.catch(() => {});
      await before?.storage.close();
    }
    try {
      return await this.#restored.snapshot;
    } catch (error) {
      this.#restored = undefined;
      throw error;
    }
  }

  /** A checkpoint is published with these parts; others that had gone on to it are void. */
  async published(checkpointId: number, names: readonly PartitionName[]): Promise<void> {
    const kept = new Set(names.map(partitionKey));
    for (const [key, { state }] of this.#partitions) {
      if (state.checkpointId !== checkpointId || state.isPublished) continue;
      if (kept.has(key)) state.published();
      else await this.#drop(key);
    }
    for (const { reader } of this.#readers.values()) {
      // Only tells the outside how far the query is; losing it loses nothing.
      await reader
        .committed()
        .catch((error: unknown) => this.#parts.log.warn("source was not told of the batch", { reason: messageOf(error) }));
    }
  }

  async release(outputs: readonly string[], groups: readonly string[]): Promise<void> {
    await this.outputs.release(outputs);
    for (const name of groups) {
      const open = this.#readers.get(name);
      if (open !== undefined) await this.#endReader(name, open);
    }
  }

  /** A task's result is not wanted any more. */
  async forget(task: ExecutorTask, output: string): Promise<void> {
    await this.outputs.release([output]);
    if (task.kind === "state") await this.#drop(partitionKey(task.partition));
  }

  async #drop(key: string): Promise<void> {
    const held = this.#partitions.get(key);
    this.#partitions.delete(key);
    await held?.state.close();
  }

  #ref(output: string): OutputRef {
    return { executorId: this.#parts.executorId, address: this.address, output };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#busy.values());
    await this.#endReaders();
    for (const key of [...this.#partitions.keys()]) await this.#drop(key);
    for (const runner of this.#idle.splice(0)) await runner.close();
    await this.outputs.clear();
    await this.#restored?.storage.close();
  }
}
