// The store as a driver uses it: checkpoints that build on each other, restores at other parallelisms, failures in between.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import { captureOf, keyGroups, type Model, ModelState, plainMerging } from "../testing/plain-state.suite.ts";
import { openStorage } from "../storage/open-storage.ts";
import { CheckpointStore, type CheckpointStoreOptions } from "./checkpoint-store.ts";
import type { Restored } from "./restored.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;

async function newStore(options: Partial<CheckpointStoreOptions> = {}): Promise<CheckpointStore> {
  const storage = options.storage ?? (await openStorage(join(folder, String(made++))));
  const store = CheckpointStore.open({
    storage,
    jobName: "flights",
    jobId: "flights-1",
    planFingerprint: "p",
    maxParallelism: 8,
    merging: plainMerging,
    clock: new ManualClock(1_000),
    ...options,
  });
  await store.acquireEpoch();
  return store;
}

async function checkpoint(store: CheckpointStore, id: number, state: ModelState): Promise<void> {
  const writer = store.begin(id);
  await Promise.all(
    state.ranges.map((range, subtask) =>
      writer.addSubtask({
        uid: "count",
        kind: "aggregate",
        subtask,
        parallelism: state.ranges.length,
        keyGroups: range,
        keyed: captureOf(state, range),
      }),
    ),
  );
  state.captured();
  await writer.finish();
}

async function contentOf(restored: Restored, parallelism = 1): Promise<Model> {
  const model: Model = new Map();
  for (const range of keyGroups(8, parallelism)) {
    const stored = restored.keyedState("count", range);
    const own = new ModelState([range]);
    for await (const block of stored?.blocks() ?? []) {
      expect(block.keyGroup >= range.from && block.keyGroup < range.to).toBe(true);
      own.apply(block);
    }
    for (const [key, value] of own.entries) model.set(key, value);
  }
  return model;
}

describe("checkpoint store", () => {
  test("a chain of incremental checkpoints restores at any parallelism", async () => {
    const store = await newStore();
    const state = new ModelState(keyGroups(8, 3));
    for (let id = 1; id <= 6; id++) {
      for (let i = 0; i < 30; i++) state.put(`key-${(id * 7 + i * i) % 50}`, `value-${id}-${i}`);
      state.delete(`key-${id * 3}`);
      await checkpoint(store, id, state);
    }
    const latest = await store.latest();
    if (latest === undefined) throw new Error("there is a latest checkpoint");
    const restored = await store.load(latest);
    expect(restored.checkpointId).toBe(6);
    for (const parallelism of [1, 2, 3, 5, 8]) expect(await contentOf(restored, parallelism)).toEqual(state.entries);
    await store.close();
  });

  test("retention keeps the last three and the files that they need", async () => {
    const storage = await openStorage(join(folder, String(made++)));
    const store = await newStore({ storage });
    const state = new ModelState(keyGroups(8, 2));
    for (let id = 1; id <= 5; id++) {
      state.put(`only-in-${id}`, "x");
      await checkpoint(store, id, state);
    }
    await store.close();
    const paths = await pathsIn(storage);
    expect(paths.filter((path) => path.endsWith("manifest.json"))).toEqual([3, 4, 5].map((id) => `flights-1/chk-${id}/manifest.json`));
    // The first files are still needed: everything since builds on them.
    expect(paths.filter((path) => path.includes("/data/")).length).toBe(5);
    for (const ref of await store.checkpoints()) await contentOf(await store.load(ref));
  });
});
