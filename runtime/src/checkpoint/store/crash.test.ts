// A process that dies before or after any change that it makes to the storage leaves a job that goes on, and nothing that is lost or leaks.
import { describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { expectSnapshot, JobModel, openStore } from "../testing/job-model.suite.ts";
import { type FaultMoment, FaultyStorage } from "../testing/faulty-storage.suite.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import type { Model } from "../testing/plain-state.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { openStorage } from "../storage/open-storage.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disposeSnapshot } from "../savepoint/dispose.ts";
import { StoredSnapshot } from "./stored-snapshot.ts";

const options = {
  retention: { count: 2 },
  compaction: { maxDeltas: 2, smallBaseBytes: 0, minDeltaBytes: 1_000_000 },
  orphanAgeMs: -1_000,
  clock: systemClock,
};
const job = "flights-1/";

/** What each checkpoint and savepoint must hold, by its id. */
interface Expected {
  readonly checkpoints: Map<number, Model>;
  savepoint: Model | undefined;
}

// Everything that changes the storage: checkpoints with a base of its own file, rolled deltas, retention, a savepoint and its end.
async function scenario(storage: SnapshotStorage, expected: Expected): Promise<void> {
  const model = new JobModel(openStore(storage, options), 2);
  await model.store.acquireEpoch();
  for (let id = 1; id <= 6; id++) {
    for (let i = 0; i < 5; i++) model.state.put(`key-${(id * 3 + i) % 11}`, `${id}-${i}`);
    if (id === 3) model.startBase(0);
    await model.scan(2);
    const taken = model.take();
    expected.checkpoints.set(taken.id, taken.expected);
    await model.save(taken);
    await model.store.markCommitted(id);
    if (id === 4) {
      expected.savepoint = taken.expected;
      await model.store.savepoint(4, "before-upgrade");
      await model.store.markCommitted(4, "before-upgrade");
    }
    await model.store.close();
  }
  await disposeSnapshot(await StoredSnapshot.open(storage, `${job}savepoints/before-upgrade/`), { force: false });
}

async function checkAfterCrash(storage: SnapshotStorage, expected: Expected): Promise<void> {
  const before = openStore(storage, options);
  // Everything that is there for a user is whole.
  const listed = await before.checkpoints();
  for (const ref of listed) {
    const restored = await before.load(ref);
    await expectSnapshot(restored, expected.checkpoints.get(restored.checkpointId) as Model, 3);
  }
  for (const path of await pathsIn(storage, `${job}savepoints/`)) {
    if (!path.endsWith("manifest.json")) continue;
    await expectSnapshot(await before.load({ storage, folder: path.slice(0, -"manifest.json".length) }), expected.savepoint as Model, 3);
  }
  // The job goes on from the latest, and so do its checkpoints.
  const model = new JobModel(openStore(storage, options), 3);
  await model.store.acquireEpoch();
  const latest = await model.store.latest();
  if (latest !== undefined) await model.restore(latest, 3);
  for (let more = 0; more < 3; more++) {
    model.state.put("again", String(more));
    const taken = await model.checkpoint();
    const now = await model.store.latest();
    if (now === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await model.store.load(now), taken.expected, 2);
  }
  await model.store.close();
  // By a successor: a rolled delta that waits for the next checkpoint is nobody's then.
  const successor = openStore(storage, options);
  await successor.acquireEpoch();
  await successor.sweep();
  await expectNoOrphans(storage);
}

// Every data file is referred to by a manifest, every manifest is listed or a savepoint's.
async function expectNoOrphans(storage: SnapshotStorage): Promise<void> {
  const needed = new Set<string>();
  const store = openStore(storage, options);
  for (const { folder } of await store.checkpoints()) {
    const snapshot = await StoredSnapshot.open(storage, folder);
    snapshot.manifest.files.forEach((_file, number) => needed.add(snapshot.filePath(number)));
    needed.add(`${folder}manifest.json`);
  }
  const paths = await pathsIn(storage);
  expect(paths.filter((path) => path.includes("/data/")).sort()).toEqual([...needed].filter((path) => path.includes("/data/")).sort());
  expect(paths.filter((path) => /chk-\d+\/manifest/.test(path)).sort()).toEqual(
    [...needed].filter((path) => path.endsWith("manifest.json")).sort(),
  );
  const savepointFiles = paths.filter((path) => path.startsWith(`${job}savepoints/`));
  if (savepointFiles.length > 0) expect(savepointFiles).toContain(`${job}savepoints/before-upgrade/manifest.json`);
}

async function changesOf(make: () => Promise<SnapshotStorage>): Promise<readonly string[]> {
  const faulty = new FaultyStorage(await make());
  await scenario(faulty, { checkpoints: new Map(), savepoint: undefined });
  return faulty.changes;
}

async function crashAt(inner: SnapshotStorage, at: number, moment: FaultMoment): Promise<void> {
  const faulty = new FaultyStorage(inner);
  faulty.fault = { at, moment, dies: true };
  const expected: Expected = { checkpoints: new Map(), savepoint: undefined };
  await scenario(faulty, expected).catch((error: unknown) => expect(String(error)).toContain("this is a test"));
  await checkAfterCrash(inner, expected);
}

describe("a crash at any change to the storage", () => {
  test("the scenario goes through everything", async () => {
    const changes = await changesOf(() => Promise.resolve(new MemoryStorage()));
    const kinds = new Set(changes.map((change) => change.replace(/\d+-\d+-[0-9a-f]+|data-[0-9a-f]{16}/, "x").replace(/\d+/g, "n")));
    expect([...kinds].sort()).toEqual(
      [
        "clean",
        "create flights-n/chk-n/manifest.json",
        "create flights-n/latest",
        "create flights-n/savepoints/before-upgrade/manifest.json",
        "delete flights-n/chk-n/committed",
        "delete flights-n/chk-n/manifest.json",
        "delete flights-n/data/x.mst",
        "delete flights-n/savepoint-results/before-upgrade.json",
        "delete flights-n/savepoints/before-upgrade/committed",
        "delete flights-n/savepoints/before-upgrade/manifest.json",
        "delete flights-n/savepoints/before-upgrade/x.mst",
        "finish flights-n/data/x.mst",
        "finish flights-n/savepoints/before-upgrade/x.mst",
        "put flights-n/chk-n/committed",
        "put flights-n/savepoint-results/before-upgrade.json",
        "put flights-n/savepoints/before-upgrade/committed",
        "replace flights-n/latest",
        "write flights-n/data/x.mst",
        "write flights-n/savepoints/before-upgrade/x.mst",
      ].sort(),
    );
  });

  test.each(["before", "after"] as const)("%s it happens, in memory: each one", async (moment) => {
    const changes = await changesOf(() => Promise.resolve(new MemoryStorage()));
    for (let at = 0; at < changes.length; at++) {
      await crashAt(new MemoryStorage(), at, moment).catch((error: unknown) => {
        throw new Error(`${moment} change ${at}, ${changes[at]}`, { cause: error });
      });
    }
  });

  test("on the file system: every fifth", async () => {
    const root = mkdtempSync(join(tmpdir(), "millrace-crash-"));
    let made = 0;
    const newStorage = (): Promise<SnapshotStorage> => openStorage(join(root, String(made++)));
    const changes = await changesOf(newStorage);
    for (let at = 0; at < changes.length; at += 5) await crashAt(await newStorage(), at, at % 2 === 0 ? "before" : "after");
    rmSync(root, { recursive: true, force: true });
  });
});
