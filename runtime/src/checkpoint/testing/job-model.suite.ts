// A job with one keyed operator, as the checkpoint store sees it: for tests that compare what a snapshot holds with what was captured.
import { expect } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { StateBlock } from "../../core/ports/state-backend.ts";
import type { BaseUpload } from "../upload/base-upload.ts";
import { CheckpointStore, type CheckpointStoreOptions, type SnapshotRef } from "../store/checkpoint-store.ts";
import type { Range } from "../store/lineage.ts";
import type { PublishedCheckpoint } from "../store/publisher.ts";
import type { Restored } from "../store/restored.ts";
import { blocksOf, keyGroups, maxKeyGroups, type Model, ModelState, plainMerging, plainTable, captureOf } from "./plain-state.suite.ts";

export const uid = "count";

export function openStore(storage: SnapshotStorage, options: Partial<CheckpointStoreOptions> = {}): CheckpointStore {
  return CheckpointStore.open({
    storage,
    jobName: "flights",
    jobId: "flights-1",
    planFingerprint: "0123456789abcdef",
    maxParallelism: maxKeyGroups,
    merging: plainMerging,
    clock: new ManualClock(1_700_000_000_000),
    ...options,
  });
}

/** What was captured for one checkpoint: can be handed to the store again after a failure. */
export interface TakenCheckpoint {
  readonly id: number;
  readonly captures: readonly { readonly subtask: number; readonly range: Range; readonly capture: ReturnType<typeof captureOf> }[];
  /** What the snapshot must hold. */
  readonly expected: Model;
}

/** Two more stateful things ride along: a source with its position, a sink with what it prepared. */
export class JobModel {
  readonly store: CheckpointStore;
  state: ModelState;
  parallelism: number;
  lastId = 0;
  #base: { readonly keys: string[]; readonly range: Range; readonly upload: BaseUpload } | undefined;

  constructor(store: CheckpointStore, parallelism: number) {
    this.store = store;
    this.parallelism = parallelism;
    this.state = new ModelState(keyGroups(maxKeyGroups, parallelism));
  }

  /** The synchronous part: afterwards `state` may change again. */
  take(id: number = this.lastId + 1): TakenCheckpoint {
    this.lastId = id;
    const captures = this.state.ranges.map((range, subtask) => ({
      subtask,
      range,
      capture: captureOf(this.state, range),
    }));
    this.state.captured();
    return { id, captures, expected: new Map(this.state.entries) };
  }

  async save({ id, captures }: TakenCheckpoint): Promise<PublishedCheckpoint> {
    const writer = this.store.begin(id);
    try {
      const added = captures.map(({ subtask, range, capture }) =>
        writer.addSubtask({
          uid,
          kind: "aggregate",
          subtask,
          parallelism: captures.length,
          keyGroups: range,
          keyed: capture,
          watermarkMs: id * 1000 + subtask,
        }),
      );
      added.push(
        writer.addSubtask({
          uid: "in",
          kind: "source",
          subtask: 0,
          parallelism: 1,
          splits: [{ split: { id: "in-0", position: { offset: id } }, watermarkMs: id }],
        }),
      );
      added.push(writer.addSubtask({ uid: "out", kind: "sink", subtask: 0, parallelism: 1, sinkState: Buffer.alloc(3_000, id) }));
      await Promise.all(added);
      return await writer.finish(new Map([["in", { enumerator: { seen: id }, finished: [`gone-${id}`] }]]));
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  async checkpoint(): Promise<TakenCheckpoint> {
    const taken = this.take();
    await this.save(taken);
    return taken;
  }

  /** A base of one instance: as of the keys there are now, read a few at a time. */
  startBase(subtask: number): void {
    const range = this.state.ranges[subtask] as Range;
    const upload = this.store.startBase({ uid, subtask, keyGroups: range, tables: [plainTable()], sinceCheckpointId: this.lastId });
    this.#base = { keys: [...this.state.entries.keys()], range, upload };
  }

  get scanning(): boolean {
    return this.#base !== undefined;
  }

  async scan(count: number): Promise<void> {
    if (this.#base === undefined) return;
    const { keys, range, upload } = this.#base;
    const some = keys.splice(0, count).filter((key) => this.state.entries.has(key));
    const blocks: readonly StateBlock[] = blocksOf(this.state, some, range);
    if (blocks.length > 0) await upload.add(blocks);
    if (keys.length > 0) return;
    this.#base = undefined;
    await upload.finish(this.lastId);
  }

  async restore(ref: SnapshotRef, parallelism: number): Promise<Restored> {
    this.#base = undefined;
    const restored = await this.store.restore(ref);
    this.parallelism = parallelism;
    this.state = new ModelState(keyGroups(maxKeyGroups, parallelism));
    for (const [key, value] of await contentOf(restored, parallelism)) this.state.entries.set(key, value);
    this.lastId = this.store.nextCheckpointId - 1;
    return restored;
  }
}

/** What instances of a restored job would hold together. */
export async function contentOf(restored: Restored, parallelism: number): Promise<Model> {
  const model: Model = new Map();
  for (const range of keyGroups(maxKeyGroups, parallelism)) {
    const own = new ModelState([range]);
    for await (const block of restored.keyedState(uid, range)?.blocks() ?? []) {
      expect(block.keyGroup >= range.from && block.keyGroup < range.to, "a block of the range").toBe(true);
      own.apply(block);
    }
    for (const [key, value] of own.entries) model.set(key, value);
  }
  return model;
}

/** Reads a snapshot whole and compares all that it holds. */
export async function expectSnapshot(restored: Restored, expected: Model, parallelism: number): Promise<void> {
  const id = restored.checkpointId;
  expect(Object.fromEntries(await contentOf(restored, parallelism))).toEqual(Object.fromEntries(expected));
  expect(restored.source("in")).toEqual({
    splits: [{ split: { id: "in-0", position: { offset: id } }, watermarkMs: id }],
    finished: [`gone-${id}`],
    enumerator: { seen: id },
  });
  expect(restored.sinkStates("out")?.map((bytes) => Buffer.from(bytes))).toEqual([Buffer.alloc(3_000, id)]);
  expect(restored.watermarkMs(uid)).toBe(id * 1000);
}
