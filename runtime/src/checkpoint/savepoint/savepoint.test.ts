// Savepoints: whole in themselves, movable, made once per id, and not needed any more once a job that started from them has a checkpoint.
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { contentOf, expectSnapshot, JobModel, openStore, type TakenCheckpoint } from "../testing/job-model.suite.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import { openStorage } from "../storage/open-storage.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { disposeSnapshot } from "./dispose.ts";
import { openSnapshot } from "../store/open-snapshot.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-savepoint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function jobWithState(
  storage: SnapshotStorage,
  checkpoints: number,
): Promise<{ readonly job: JobModel; readonly taken: TakenCheckpoint }> {
  const job = new JobModel(openStore(storage), 3);
  await job.store.acquireEpoch();
  let taken: TakenCheckpoint | undefined;
  for (let id = 1; id <= checkpoints; id++) {
    for (let i = 0; i < 40; i++) job.state.put(`key-${(id * 13 + i) % 60}`, `value ${id} ${i}`);
    job.state.delete(`key-${id}`);
    taken = await job.checkpoint();
  }
  if (taken === undefined) throw new Error("a checkpoint was taken");
  return { job, taken };
}

describe("savepoints", () => {
  test("a savepoint holds all of the checkpoint, each entry once, in a folder that can be moved", async () => {
    const { job, taken } = await jobWithState(await openStorage(join(folder, "one")), 4);
    const result = await job.store.savepoint(4, "before-upgrade");
    expect(result).toMatchObject({
      id: "before-upgrade",
      checkpointId: 4,
      url: pathToFileURL(join(folder, "one/flights-1/savepoints/before-upgrade")).href,
    });
    await job.store.close();
    cpSync(join(folder, "one/flights-1/savepoints/before-upgrade"), join(folder, "elsewhere/moved"), { recursive: true });
    rmSync(join(folder, "one"), { recursive: true });

    const ref = await openSnapshot(pathToFileURL(join(folder, "elsewhere/moved")).href);
    const snapshot = await StoredSnapshot.open(ref.storage, ref.folder);
    expect(snapshot.manifest.files.map((file) => file.path.includes("/"))).toEqual([false]);
    const { sections } = await snapshot.reader(0);
    const entries = sections.flatMap((section) => section.blocks).reduce((sum, block) => sum + block.entryCount, 0);
    expect(entries).toBe(taken.expected.size);
    const store = openStore(new MemoryStorage());
    await expectSnapshot(await store.load(ref), taken.expected, 5);
  });

  test("the same id gives the same savepoint, at once or later, and from a new process", async () => {
    const storage = new MemoryStorage();
    const { job } = await jobWithState(storage, 2);
    const [first, second] = await Promise.all([job.store.savepoint(2, "a"), job.store.savepoint(2, "a")]);
    expect(second).toEqual(first);
    job.state.put("later", "x");
    await job.checkpoint();
    expect(await job.store.savepoint(3, "a")).toEqual(first);
    expect(await openStore(storage).savepointResult("a")).toEqual(first);
    expect(await job.store.savepointResult("b")).toBeUndefined();
    expect((await job.store.savepoint(3, "b")).checkpointId).toBe(3);
  });

  test("a result tells when the state was cut and when the copy was complete, and the newest results are listed", async () => {
    const storage = new MemoryStorage();
    const clock = new ManualClock(1_700_000_000_000);
    const job = new JobModel(openStore(storage, { clock }), 2);
    await job.store.acquireEpoch();
    job.state.put("a", "1");
    await job.checkpoint();
    clock.advance(3000);
    const made = await job.store.savepoint(1, "a");
    expect(made).toMatchObject({ formatVersion: 1, cutAtMs: 1_700_000_000_000, completedAtMs: 1_700_000_003_000 });
    await job.store.savepoint(1, "b");
    expect((await job.store.savepointResults(10)).map(({ id }) => id).toSorted()).toEqual(["a", "b"]);
    expect(await job.store.savepointResults(1)).toHaveLength(1);
    // What an earlier version noted does not have the times.
    const path = "flights-1/savepoint-results/a.json";
    const { url, checkpointId, totalBytes } = made;
    await storage.put(path, Buffer.from(JSON.stringify({ id: "a", url, checkpointId, totalBytes })));
    expect(await job.store.savepointResult("a")).toEqual({ ...made, cutAtMs: made.completedAtMs });
  });

  test("a client that died before the result was noted finds it on the next try", async () => {
    const storage = new MemoryStorage();
    const { job } = await jobWithState(storage, 2);
    const first = await job.store.savepoint(2, "a");
    await storage.delete(["flights-1/savepoint-results/a.json"]);
    job.state.put("later", "x");
    await job.checkpoint();
    expect(await job.store.savepoint(3, "a")).toEqual(first);
    expect(await job.store.savepointResult("a")).toEqual(first);
  });

  test("ids that are no names, and checkpoints that are gone, are refused", async () => {
    const { job } = await jobWithState(new MemoryStorage(), 5);
    await expect(job.store.savepoint(5, "../x")).rejects.toMatchObject({ code: "SAVEPOINT_ID_INVALID" });
    await expect(job.store.savepoint(1, "x")).rejects.toMatchObject({ code: "CHECKPOINT_GONE" });
  });

  test("whether the sinks committed is part of a savepoint, before and after it is made", async () => {
    const { job } = await jobWithState(new MemoryStorage(), 3);
    const committed = async (id: string): Promise<boolean> => {
      const made = await job.store.savepointResult(id);
      const storageRoot = "memory://memory/";
      const ref = await job.store.latest();
      if (made === undefined || ref === undefined) throw new Error("there is a savepoint");
      return (await StoredSnapshot.open(ref.storage, `${made.url.slice(storageRoot.length)}/`)).committed;
    };
    await job.store.savepoint(3, "early");
    expect(await committed("early")).toBe(false);
    await job.store.markCommitted(3, "early");
    expect(await committed("early")).toBe(true);
    await job.store.savepoint(3, "late");
    expect(await committed("late")).toBe(true);
    const latest = await job.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    expect((await job.store.load(latest)).committed).toBe(true);
  });

  test("a job that starts from a savepoint owns its state from the first checkpoint on", async () => {
    const { job, taken } = await jobWithState(await openStorage(join(folder, "origin")), 3);
    const { url } = await job.store.savepoint(3, "fork");
    await job.store.close();
    const storage = await openStorage(join(folder, "fork"));
    const fork = new JobModel(openStore(storage, { jobId: "fork" }), 2);
    await fork.store.acquireEpoch();
    const ref = await openSnapshot(url);
    await fork.restore(ref, 2);
    expect(Object.fromEntries(fork.state.entries)).toEqual(Object.fromEntries(taken.expected));
    expect(fork.store.nextCheckpointId).toBe(4);
    const savepoint = await StoredSnapshot.open(ref.storage, ref.folder);
    await expect(disposeSnapshot(savepoint, { force: false })).rejects.toMatchObject({ code: "SNAPSHOT_IN_USE" });
    fork.state.put("in the fork", "x");
    const forked = await fork.checkpoint();
    await fork.store.close();
    const deleted = await disposeSnapshot(savepoint, { force: false });
    expect(deleted).toContain("fork/manifest.json");
    expect(readdirSync(join(folder, "origin/flights-1/savepoints"))).toEqual([".tmp"]);
    // Whoever asks for it again gets a new one.
    expect(await job.store.savepointResult("fork")).toBeUndefined();
    rmSync(join(folder, "origin"), { recursive: true });
    const latest = await fork.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await fork.store.load(latest), forked.expected, 4);
  });

  test("a check that refuses the snapshot leaves no mark on it", async () => {
    const storage = new MemoryStorage();
    const { job } = await jobWithState(storage, 1);
    await job.store.savepoint(1, "a");
    const other = openStore(storage, { jobId: "other" });
    await other.acquireEpoch();
    const refused = other.restore({ storage, folder: "flights-1/savepoints/a/" }, () => {
      throw new Error("refused");
    });
    await expect(refused).rejects.toThrow("refused");
    expect((await pathsIn(storage)).filter((path) => path.includes("references/"))).toEqual([]);
  });

  test("checkpoints that their job lists are not disposed of", async () => {
    const storage = new MemoryStorage();
    const { job } = await jobWithState(storage, 2);
    const latest = await job.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    const snapshot = await StoredSnapshot.open(storage, latest.folder);
    await expect(disposeSnapshot(snapshot, { force: true })).rejects.toMatchObject({ code: "SNAPSHOT_IN_USE" });
    expect((await contentOf(await job.store.load(latest), 1)).size).toBeGreaterThan(0);
  });
});
