// The checkpoint store on a real S3 server: a chain of checkpoints, a base, a savepoint, a fork from it, a fence, and damage.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { realS3 } from "../../../../test/support/real.ts";
import { expectSnapshot, JobModel, openStore, type TakenCheckpoint } from "../testing/job-model.suite.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import { openStorage, type StorageOptions } from "../storage/open-storage.ts";
import { openSnapshot } from "./open-snapshot.ts";

const { endpoint, region, bucket, accessKeyId, secretAccessKey } = realS3();
const options: StorageOptions = { s3: { endpoint, region, accessKeyId, secretAccessKey } };

describe("the checkpoint store on S3", () => {
  test("a job's whole life", async () => {
    const root = `s3://${bucket}/store-test-${randomUUID()}`;
    const storage = await openStorage(root, options);
    const job = new JobModel(
      openStore(storage, { compaction: { maxDeltas: 3, smallBaseBytes: 0, minDeltaBytes: 1_000_000 }, retention: { count: 2 } }),
      3,
    );
    await job.store.acquireEpoch();
    let taken: TakenCheckpoint | undefined;
    for (let id = 1; id <= 8; id++) {
      for (let i = 0; i < 50; i++) job.state.put(`key-${(id * 11 + i) % 70}`, `value ${id} ${i}`);
      job.state.delete(`key-${id * 2}`);
      if (id === 3) job.startBase(1);
      await job.scan(40);
      taken = await job.checkpoint();
      await job.store.markCommitted(id);
    }
    const latest = await job.store.latest();
    if (latest === undefined || taken === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await job.store.load(latest), taken.expected, 5);
    const { url } = await job.store.savepoint(8, "before-upgrade");
    expect(url).toBe(`${root}/flights-1/savepoints/before-upgrade`);
    await job.store.close();
    expect(
      (await pathsIn(storage)).filter((path) => path.endsWith("chk-7/manifest.json") || path.endsWith("chk-8/manifest.json")).length,
    ).toBe(2);
    expect((await pathsIn(storage)).filter((path) => path.includes("/chk-6/"))).toEqual([]);

    // Another writer takes over, from the savepoint.
    const ref = await openSnapshot(url, options);
    const next = new JobModel(openStore(storage), 2);
    await next.store.acquireEpoch();
    const restored = await next.restore(ref, 2);
    expect(restored.committed).toBe(true);
    next.state.put("new", "epoch");
    const after = await next.checkpoint();
    await expect(job.checkpoint()).rejects.toMatchObject({ code: "FENCED" });
    const now = await next.store.latest();
    if (now === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await next.store.load(now), after.expected, 4);

    // Damage of the newest data file is found.
    const { manifest } = await next.store.load(now);
    const path = `flights-1/${manifest.files.at(-1)?.path.slice("../".length)}`;
    const { content } = await storage.get(path);
    content[5] = (content[5] ?? 0) ^ 1;
    await storage.put(path, content);
    await expect(next.store.load(now).then((damaged) => expectSnapshot(damaged, after.expected, 1))).rejects.toMatchObject({
      code: "SNAPSHOT_CORRUPT",
    });
    await next.store.close();
    await storage.delete(await pathsIn(storage));
    await ref.storage.close();
    await storage.close();
  });
});
