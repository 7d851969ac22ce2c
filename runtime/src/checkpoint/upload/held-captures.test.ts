// A capture that takes disk is released when a published checkpoint has it, or nobody will ask for it again; never before.
import { expect, test } from "vitest";
import { expectSnapshot, JobModel, openStore, uid } from "../testing/job-model.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";

/** A storage whose next writes of names like `pattern` fail. */
class FailingStorage extends MemoryStorage {
  failing: RegExp | undefined;

  #check(name: string): void {
    if (this.failing?.test(name) === true) throw new Error("the storage is away");
  }

  override async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#check(name);
    await super.put(name, bytes);
  }

  override async create(name: string, bytes: Uint8Array): Promise<string> {
    this.#check(name);
    return super.create(name, bytes);
  }

  override openWriter(name: string): ReturnType<MemoryStorage["openWriter"]> {
    this.#check(name);
    return super.openWriter(name);
  }
}

async function opened(): Promise<{ readonly storage: FailingStorage; readonly model: JobModel }> {
  const storage = new FailingStorage();
  const store = openStore(storage);
  await store.acquireEpoch();
  const model = new JobModel(store, 2);
  for (let i = 0; i < 50; i++) model.state.put(`key-${i}`, `value ${i}`);
  return { storage, model };
}

const releasedOf = ({ captures }: ReturnType<JobModel["take"]>): readonly boolean[] => captures.map(({ capture }) => capture.released);

test("published: released", async () => {
  const { model } = await opened();
  const taken = await model.checkpoint();
  expect(releasedOf(taken)).toEqual([true, true]);
});

test("written, but not published: kept for the next attempt, which has all of it", async () => {
  const { storage, model } = await opened();
  const taken = model.take();
  storage.failing = /manifest/;
  await expect(model.save(taken)).rejects.toThrow("the storage is away");
  expect(releasedOf(taken)).toEqual([false, false]);
  storage.failing = undefined;
  await model.save(taken);
  expect(releasedOf(taken)).toEqual([true, true]);
  await expectLatest(model, taken);
});

test("given up: kept for the next checkpoint, and released with it", async () => {
  const { storage, model } = await opened();
  const first = model.take();
  storage.failing = /data\//;
  await expect(model.save(first)).rejects.toThrow("the storage is away");
  storage.failing = undefined;
  model.state.put("key-1", "another value");
  const second = model.take();
  expect(releasedOf(first)).toEqual([false, false]);
  await model.save(second);
  expect([...releasedOf(first), ...releasedOf(second)]).toEqual([true, true, true, true]);
  await expectLatest(model, second);
});

/** Checkpoint 1 is given up with what it took, checkpoint 2 has that and is written, but not published. */
async function unpublished(): Promise<{
  readonly storage: FailingStorage;
  readonly model: JobModel;
  readonly second: ReturnType<JobModel["take"]>;
}> {
  const { storage, model } = await opened();
  storage.failing = /data\//;
  await expect(model.save(model.take())).rejects.toThrow("the storage is away");
  model.state.put("key-1", "another value");
  const second = model.take();
  storage.failing = /manifest/;
  await expect(model.save(second)).rejects.toThrow("the storage is away");
  return { storage, model, second };
}

async function expectLatest(model: JobModel, { expected }: ReturnType<JobModel["take"]>): Promise<void> {
  const latest = await model.store.latest();
  if (latest === undefined) throw new Error("there is a checkpoint");
  await expectSnapshot(await model.store.load(latest), expected, 2);
}

test("a checkpoint that could not be published is tried again: what it carried from an earlier one is in it again", async () => {
  const { storage, model, second } = await unpublished();
  storage.failing = undefined;
  await model.save(second);
  await expectLatest(model, second);
});

test("a checkpoint that could not be published is followed by the next: what it carried comes before its own changes, not after", async () => {
  const { storage, model } = await unpublished();
  storage.failing = undefined;
  model.state.put("key-2", "of the third");
  const third = model.take();
  await model.save(third);
  await expectLatest(model, third);
  expect(releasedOf(third)).toEqual([true, true]);
});

test("the second try of a checkpoint is given up too: what it carried goes with the next one", async () => {
  const { storage, model, second } = await unpublished();
  storage.failing = /data\//;
  await expect(model.save(second)).rejects.toThrow("the storage is away");
  storage.failing = undefined;
  const third = model.take();
  await model.save(third);
  await expectLatest(model, third);
});

test("what is published is forgotten: it is no backlog", async () => {
  const { storage, model } = await unpublished();
  storage.failing = undefined;
  await model.checkpoint();
  const memories = [0, 1].map((subtask) => model.store.uploader.memoryOf(uid, subtask));
  expect(memories.map(({ carried, unconfirmed }) => [carried.size, unconfirmed.length])).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

test("the job restarts: released", async () => {
  const { storage, model } = await opened();
  const first = model.take();
  storage.failing = /data\//;
  await expect(model.save(first)).rejects.toThrow("the storage is away");
  model.store.uploader.reset();
  expect(releasedOf(first)).toEqual([true, true]);
});
