// A part of an operator's state at an executor: opened from a checkpoint, given each batch's rows, its changes written to the storage.
import { mkdir, rm } from "node:fs/promises";
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import type { UploadAck } from "../../../../checkpoint/upload/ack.ts";
import { defaultCompaction } from "../../../../checkpoint/store/compaction-policy.ts";
import { Uploader } from "../../../../checkpoint/upload/uploader.ts";
import type { Restored } from "../../../../checkpoint/store/restored.ts";
import type { SnapshotStorage } from "../../../../core/ports/snapshot-storage.ts";
import type { StateBackendFactory } from "../../../../core/ports/state-backend.ts";
import { BaseScanner } from "../../../continuous/base-scanner.ts";
import { OperatorRunner } from "../../run/operator-runner.ts";
import type { OperatorStage } from "../../stages/stage.ts";
import { finiteOrNull, type PartitionName, type StateResult, type StateTask } from "../messages.ts";
import { readFrames, RowFrames } from "../row-frames.ts";

export interface StatePartitionParts {
  readonly name: PartitionName;
  readonly stage: OperatorStage;
  readonly maxParallelism: number;
  readonly stateBackend: StateBackendFactory;
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Where the query's checkpoints are, and its folder there. */
  readonly storage: SnapshotStorage;
  readonly folder: string;
  readonly epoch: number;
}

/** As the checkpoint store has them for the driver's own state. */
const uploads = { compression: "zstd", smallBaseBytes: defaultCompaction.smallBaseBytes, maxCarriedBytes: 512 * 1024 * 1024 } as const;
/** Slices of a base between two batches. */
const baseSteps = 64;

export class StatePartition {
  readonly #parts: StatePartitionParts;
  readonly #operators: OperatorRunner;
  readonly #uploader: Uploader;
  readonly #scanner: BaseScanner;
  /** The checkpoint whose state this is. */
  checkpointId: number;
  /** That checkpoint is published with this state. */
  isPublished = true;
  #baseDue = false;

  private constructor(parts: StatePartitionParts, operators: OperatorRunner, checkpointId: number) {
    this.#parts = parts;
    this.#operators = operators;
    this.checkpointId = checkpointId;
    this.#uploader = new Uploader({ storage: parts.storage, folder: parts.folder, ...uploads });
    this.#uploader.setEpoch(parts.epoch);
    this.#scanner = new BaseScanner(
      {
        due: () => {
          const due = this.#baseDue;
          this.#baseDue = false;
          return due;
        },
        start: (about) => this.#uploader.startBase(about),
      },
      parts.log,
    );
  }

  static async open(
    parts: StatePartitionParts,
    restored: Restored | undefined,
    checkpointId: number,
    watermarkMs: number,
  ): Promise<StatePartition> {
    const { stage, maxParallelism, stateBackend, clock, log, name, directory } = parts;
    await mkdir(directory, { recursive: true });
    const operators = await OperatorRunner.open([stage], {
      ...{ maxParallelism, stateBackend, clock, log, restored, watermarkMs },
      workDirectory: directory,
      share: { subtask: name.subtask, parallelism: name.parallelism },
    });
    return new StatePartition(parts, operators, checkpointId);
  }

  /** Another driver leads: what was uploaded and not published is void. */
  setEpoch(epoch: number): void {
    this.#uploader.reset();
    this.#uploader.setEpoch(epoch);
  }

  /** The batch. After a rejection the state may be half changed: it must be opened anew. */
  async run(
    task: StateTask,
    inputs: readonly (readonly ArrayBuffer[])[],
  ): Promise<{ readonly result: Omit<StateResult, "output" | "restored">; readonly frames: readonly ArrayBuffer[] }> {
    const { stage, maxParallelism } = this.#parts;
    this.isPublished = false;
    const operators = this.#operators;
    operators.begin();
    const out = new RowFrames(stage.schema, undefined, 1, maxParallelism);
    let rows = 0;
    const enter = operators.connect(stage, (batch) => {
      rows += batch.count;
      out.take(batch);
    });
    for (const [index, frames] of inputs.entries()) {
      const schema = (stage.inputs[index] as OperatorStage["inputs"][number]).schema;
      await readFrames(schema, frames, (batch) => enter(batch, index));
    }
    operators.finish(stage, task.watermarkMs ?? -Infinity);
    const ack = await this.#upload(task);
    this.checkpointId = task.checkpointId;
    const [status] = operators.status();
    if (status === undefined) throw new Error("assertion failed: a part of the state has one operator");
    const result = {
      kind: "state" as const,
      ...{ ack, rows, figures: status.figures, state: status.state },
      nextWakeMs: finiteOrNull(operators.nextWakeMs()),
    };
    return { result, frames: out.end()[0] ?? [] };
  }

  async #upload({ checkpointId, baseDue }: StateTask): Promise<UploadAck> {
    const { stage, name } = this.#parts;
    const [captured] = this.#operators.capture();
    if (captured === undefined) throw new Error("assertion failed: an operator of a stream has state");
    const { keyGroups, keyed, lists, watermarkMs } = captured;
    this.#scanner.captured(checkpointId, this.#operators.scanned, () => keyed.tables);
    const upload = this.#uploader.begin(checkpointId);
    try {
      const { subtask, parallelism } = name;
      await upload.addSubtask({ uid: name.uid, kind: stage.operator, subtask, parallelism, keyGroups, keyed, lists, watermarkMs });
      const ack = await upload.finish();
      this.#baseDue = baseDue;
      return ack;
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  /** The checkpoint of the last batch is published with this state. */
  published(): void {
    this.isPublished = true;
    this.#uploader.confirm(this.checkpointId);
    this.#background(baseSteps);
  }

  // A base is written a slice at a time, while nobody waits.
  #background(left: number): void {
    if (left === 0 || !this.isPublished) return;
    this.#scanner.step(this.#operators.scanned);
    setImmediate(() => this.#background(left - 1));
  }

  async close(): Promise<void> {
    this.isPublished = false;
    await this.#scanner.close();
    await this.#operators.close(this.#parts.log);
    await rm(this.#parts.directory, { recursive: true, force: true });
  }
}
