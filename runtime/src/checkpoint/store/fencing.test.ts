// One writer at a time: whoever was replaced cannot publish, whatever it does; a lost answer is no reason to give up.
import { describe, expect, test } from "vitest";
import { FaultyStorage } from "../testing/faulty-storage.suite.ts";
import { expectSnapshot, JobModel, openStore } from "../testing/job-model.suite.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { readPointer } from "./latest-pointer.ts";

describe("the epoch fence", () => {
  test("a writer that was replaced fails with FENCED, for ever, and changes nothing", async () => {
    const storage = new MemoryStorage();
    const old = new JobModel(openStore(storage), 2);
    expect(await old.store.acquireEpoch()).toBe(1);
    old.state.put("a", "1");
    await old.checkpoint();

    const next = new JobModel(openStore(storage), 2);
    expect(await next.store.acquireEpoch()).toBe(2);
    const latest = await next.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    await next.restore(latest, 2);

    old.state.put("b", "zombie");
    await expect(old.checkpoint()).rejects.toMatchObject({ code: "FENCED" });
    next.state.put("c", "3");
    const taken = await next.checkpoint();
    old.state.put("d", "zombie");
    await expect(old.checkpoint()).rejects.toMatchObject({ code: "FENCED" });
    await expect(old.store.sweep()).rejects.toMatchObject({ code: "FENCED" });

    const now = await next.store.latest();
    if (now === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await next.store.load(now), taken.expected, 2);
    expect((await readPointer(storage, "flights-1/"))?.pointer).toMatchObject({
      epoch: 2,
      checkpoints: [
        { checkpointId: 2, epoch: 2 },
        { checkpointId: 1, epoch: 1 },
      ],
    });
  });

  test("a manifest that a replaced writer left is written over", async () => {
    const storage = new MemoryStorage();
    const old = new JobModel(openStore(storage), 1);
    await old.store.acquireEpoch();
    old.state.put("a", "1");
    await old.checkpoint();
    const next = new JobModel(openStore(storage), 1);
    await next.store.acquireEpoch();
    // The zombie writes the manifest of checkpoint 2, and then finds that it was replaced.
    old.state.put("b", "zombie");
    await expect(old.checkpoint()).rejects.toMatchObject({ code: "FENCED" });
    expect(await pathsIn(storage, "flights-1/chk-2/")).toEqual(["flights-1/chk-2/manifest.json"]);
    const latest = await next.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    await next.restore(latest, 1);
    next.state.put("b", "rightful");
    const taken = await next.checkpoint();
    const now = await next.store.latest();
    if (now === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await next.store.load(now), taken.expected, 1);
  });

  test("epochs rise one by one when many take over at once", async () => {
    const storage = new MemoryStorage();
    const epochs = await Promise.all(Array.from({ length: 8 }, () => openStore(storage).acquireEpoch()));
    expect(epochs.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("a pointer write whose answer is lost counts as what it was", async () => {
    const storage = new FaultyStorage(new MemoryStorage());
    const model = new JobModel(openStore(storage), 1);
    await model.store.acquireEpoch();
    for (const moment of ["after", "before"] as const) {
      model.state.put(moment, moment);
      const taken = model.take();
      await model.store.close();
      // write, finish, create the manifest, replace the pointer
      storage.fault = { at: storage.changes.length + 3, moment, dies: false };
      const saving = model.save(taken);
      if (moment === "after") expect((await saving).checkpointId).toBe(1);
      else await expect(saving).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
      expect(storage.changes.at(-1)).toBe("replace flights-1/latest");
    }
    await model.checkpoint();
    expect((await readPointer(storage, "flights-1/"))?.pointer.checkpoints.map((one) => one.checkpointId)).toEqual([3, 1]);
  });

  test("a damaged pointer is SNAPSHOT_CORRUPT", async () => {
    const storage = new MemoryStorage();
    await storage.put("flights-1/latest", Buffer.from('{"format":'));
    await expect(openStore(storage).latest()).rejects.toMatchObject({ code: "SNAPSHOT_CORRUPT" });
    await storage.put(
      "flights-1/latest",
      Buffer.from(JSON.stringify({ format: "millrace-latest", formatVersion: 1, epoch: 1, writer: "w", checkpoints: [], more: 1 })),
    );
    await expect(openStore(storage).latest()).rejects.toMatchObject({ code: "SNAPSHOT_FIELD_UNKNOWN" });
  });
});
