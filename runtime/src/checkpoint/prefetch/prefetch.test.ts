// Fetching ahead: the copies are those of the newest checkpoint, whole or not there, and a restore reads them instead of the storage.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { expectSnapshot, JobModel, openStore } from "../testing/job-model.suite.ts";
import { copyName, withLocalCopies } from "./local-copies.ts";
import { decidePrefetch, Prefetcher, type WantedFile } from "./prefetcher.ts";
import { rehearseRestore } from "./rehearse.ts";

const folder = "flights-1/";
let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-prefetch-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Counts what is asked of it. */
class CountingStorage extends MemoryStorage {
  readonly ranges: string[] = [];
  override getRange(path: string, start: number, end: number): Promise<Buffer> {
    this.ranges.push(path);
    return super.getRange(path, start, end);
  }
}

const prefetcher = (storage: SnapshotStorage, maxBytes = 1e9): Prefetcher =>
  new Prefetcher({ storage, folder, directory, maxBytes, clock: systemClock, log: silentLog });

async function once(storage: SnapshotStorage, maxBytes?: number): Promise<void> {
  const one = prefetcher(storage, maxBytes);
  await one.start();
  await one.stop();
}

async function job(storage: SnapshotStorage): Promise<JobModel> {
  const model = new JobModel(openStore(storage), 2);
  await model.store.acquireEpoch();
  for (let key = 0; key < 40; key++) model.state.put(`key-${key}`, `value ${key}`);
  await model.checkpoint();
  return model;
}

describe("what is fetched", () => {
  const file = (path: string, sizeBytes: number): WantedFile => ({ path, sizeBytes, sha256: "" });
  const names = (files: readonly WantedFile[]): readonly string[] => files.map(({ path }) => path);

  test("what is missing, and what no newest checkpoint needs is dropped", () => {
    const { fetch, drop } = decidePrefetch([file("j/data/a", 5), file("j/data/b", 9)], new Set(["j+data+a", "j+data+old", "x.part"]), 100);
    expect(names(fetch)).toEqual(["j/data/b"]);
    expect(drop).toEqual(["j+data+old", "x.part"]);
  });

  test("within the limit, large files first, and smaller ones in what is left", () => {
    const wanted = [file("small", 2), file("large", 8), file("middle", 5)];
    expect(names(decidePrefetch(wanted, new Set(), 10).fetch)).toEqual(["large", "small"]);
    expect(names(decidePrefetch(wanted, new Set(), 0).fetch)).toEqual([]);
    // A copy that does not fit any more goes.
    expect(decidePrefetch(wanted, new Set(["middle"]), 10).drop).toEqual(["middle"]);
  });
});

test("a restore of what was fetched, and of the checkpoint after it, only reads what is newer from the storage", async () => {
  const storage = new CountingStorage();
  const model = await job(storage);
  await once(storage);
  const first = new Set(await readdir(directory));
  expect(first.size).toBeGreaterThan(0);
  model.state.put("key-3", "changed");
  const { expected } = await model.checkpoint();
  storage.ranges.length = 0;
  const store = openStore(withLocalCopies(storage, directory));
  const ref = await store.latest();
  if (ref === undefined) throw new Error("there is a checkpoint");
  await expectSnapshot(await store.load(ref), expected, 3);
  expect(storage.ranges.length).toBeGreaterThan(0);
  expect(storage.ranges.filter((path) => first.has(copyName(path)))).toEqual([]);
  // Fetched again, it needs nothing of the storage.
  await once(storage);
  storage.ranges.length = 0;
  await expectSnapshot(await store.load(ref), expected, 3);
  expect(storage.ranges).toEqual([]);
});

test("a file that does not come whole is no copy, and the next round tries again", async () => {
  const storage = new MemoryStorage();
  await job(storage);
  const broken = { ...withLocalCopies(storage, directory), getRange: async () => Buffer.from("something else") };
  await once(broken);
  expect(await readdir(directory)).toEqual([]);
  await once({ ...broken, getRange: () => Promise.reject(new Error("away")) });
  expect((await readdir(directory)).filter((name) => !name.endsWith(".part"))).toEqual([]);
  await once(storage);
  const copies = await readdir(directory);
  expect(copies.length).toBeGreaterThan(0);
  expect(copies.filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("without a checkpoint, and with a storage that does not answer, nothing is fetched and nothing fails", async () => {
  await once(new MemoryStorage());
  const away = { ...withLocalCopies(new MemoryStorage(), directory), get: () => Promise.reject(new Error("away")) };
  await once(away);
  expect(await readdir(directory)).toEqual([]);
  expect(await rehearseRestore(new MemoryStorage(), folder, 1e9)).toBe(0);
});

test("copies may vanish at any time: the storage has all of it", async () => {
  const storage = new MemoryStorage();
  const model = await job(storage);
  await once(storage);
  const expected = new Map(model.state.entries);
  const store = openStore(withLocalCopies(storage, directory));
  const ref = await store.latest();
  if (ref === undefined) throw new Error("there is a checkpoint");
  await rm(directory, { recursive: true });
  await expectSnapshot(await store.load(ref), expected, 2);
});

test("a rehearsal reads the keyed state up to its limit", async () => {
  const storage = new CountingStorage();
  await job(storage);
  const whole = await rehearseRestore(storage, folder, 1e9);
  expect(whole).toBeGreaterThan(100);
  expect(await rehearseRestore(storage, folder, 1)).toBeLessThan(whole);
});
