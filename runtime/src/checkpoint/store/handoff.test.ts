// Uploading and publishing apart: several processes write their own data files, and plain JSON messages go to the one that publishes.
import { expect, test } from "vitest";
import { contentOf, openStore, uid } from "../testing/job-model.suite.ts";
import { captureOf, keyGroups, maxKeyGroups, ModelState } from "../testing/plain-state.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import type { UploadAck } from "../upload/ack.ts";
import { Uploader } from "../upload/uploader.ts";

test("a checkpoint of two processes restores as one", async () => {
  const storage = new MemoryStorage();
  const coordinator = openStore(storage);
  const epoch = await coordinator.acquireEpoch();
  const state = new ModelState(keyGroups(maxKeyGroups, 4));
  const processes = [0, 1].map(() => {
    const uploader = new Uploader({ storage, folder: "flights-1/", compression: "zstd", smallBaseBytes: 1000, maxCarriedBytes: 1_000_000 });
    uploader.setEpoch(epoch);
    return uploader;
  });
  for (let id = 1; id <= 4; id++) {
    for (let i = 0; i < 20; i++) state.put(`key-${(id * i) % 37}`, `value ${id} ${i}`);
    const messages: string[] = [];
    for (const [number, uploader] of processes.entries()) {
      const upload = uploader.begin(id);
      for (const subtask of [number * 2, number * 2 + 1]) {
        const range = state.ranges[subtask];
        if (range === undefined) throw new Error("there are four instances");
        await upload.addSubtask({ uid, kind: "aggregate", subtask, parallelism: 4, keyGroups: range, keyed: captureOf(state, range) });
      }
      messages.push(JSON.stringify(await upload.finish()));
    }
    state.captured();
    const published = await coordinator.publish(
      id,
      messages.map((message) => JSON.parse(message) as UploadAck),
    );
    // The second process never hears of it: what it sends again must change nothing.
    processes[0]?.confirm(id);
    expect(published.writtenBytes).toBeGreaterThan(messages.length * 100);
    const latest = await coordinator.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    const restored = await coordinator.load(latest);
    expect(Object.fromEntries(await contentOf(restored, 3))).toEqual(Object.fromEntries(state.entries));
    expect(restored.manifest.files.length).toBe(2 * id);
  }
});

test("a checkpoint that lacks an instance is refused", async () => {
  const storage = new MemoryStorage();
  const store = openStore(storage);
  await store.acquireEpoch();
  const writer = store.begin(1);
  await writer.addSubtask({
    uid,
    kind: "aggregate",
    subtask: 1,
    parallelism: 2,
    keyGroups: { from: 4, to: 8 },
    keyed: { tables: [], blocks: [] },
  });
  await expect(writer.finish()).rejects.toThrow("all 2 instances of count are in the checkpoint, not 1");
  expect(await store.latest()).toBeUndefined();
});
