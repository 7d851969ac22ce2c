// A capture that takes disk is released when a published checkpoint has it, or nobody will ask for it again; never before.
import { expect, test } from "vitest";
import { expectSnapshot, JobModel, openStore } from "../testing/job-model.suite.ts";
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
  const latest = await model.store.latest();
  if (latest === undefined) throw new Error("there is a checkpoint");
  await expectSnapshot(await model.store.load(latest), taken.expected, 2);
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
  const latest = await model.store.latest();
  if (latest === undefined) throw new Error("there is a checkpoint");
  await expectSnapshot(await model.store.load(latest), second.expected, 2);
});

test("the job restarts: released", async () => {
  const { storage, model } = await opened();
  const first = model.take();
  storage.failing = /data\//;
  await expect(model.save(first)).rejects.toThrow("the storage is away");
  model.store.uploader.reset();
  expect(releasedOf(first)).toEqual([true, true]);
});
