// Damage of any kind to any file of a snapshot is found when it is read, and named; the other snapshots stay usable.
import fc from "fast-check";
import { expect, test } from "vitest";
import { isMillraceError, type MillraceError } from "../../base/errors.ts";
import { contentOf, expectSnapshot, JobModel, openStore } from "../testing/job-model.suite.ts";
import { pathsIn } from "../testing/paths-in.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { Restored } from "./restored.ts";
import { StoredSnapshot } from "./stored-snapshot.ts";

async function prepared(): Promise<{ readonly storage: MemoryStorage; readonly job: JobModel; readonly paths: readonly string[] }> {
  const storage = new MemoryStorage();
  const job = new JobModel(openStore(storage), 2);
  await job.store.acquireEpoch();
  for (let id = 1; id <= 2; id++) {
    for (let i = 0; i < 200; i++) job.state.put(`key-${i * id}`, `${"a value that repeats itself, ".repeat(12)}${i}`);
    await job.checkpoint();
  }
  await job.store.savepoint(2, "sp");
  await job.store.close();
  const paths = (await pathsIn(storage, "flights-1/savepoints/sp/")).filter((path) => !path.endsWith("committed"));
  return { storage, job, paths };
}

async function readAll(storage: MemoryStorage, folder: string, sha256?: string): Promise<void> {
  const restored = await Restored.load(await StoredSnapshot.open(storage, folder, sha256));
  await contentOf(restored, 2);
}

type Damage =
  | { readonly kind: "flip"; readonly at: number; readonly mask: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "append"; readonly bytes: number }
  | { readonly kind: "delete" };

function damaged(content: Buffer, damage: Exclude<Damage, { kind: "delete" }>): Buffer {
  if (damage.kind === "cut") return content.subarray(0, damage.at % content.length);
  if (damage.kind === "append") return Buffer.concat([content, Buffer.alloc(damage.bytes, 7)]);
  const copy = Buffer.from(content);
  const at = damage.at % copy.length;
  copy[at] = (copy[at] as number) ^ damage.mask;
  return copy;
}

test("any damage to any file of a savepoint is SNAPSHOT_CORRUPT and names the file", async () => {
  const { storage, paths } = await prepared();
  expect(paths.length).toBe(2);
  const damage: fc.Arbitrary<Damage> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("flip" as const), at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("cut" as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("append" as const), bytes: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: "delete" as const }) },
  );
  await readAll(storage, "flights-1/savepoints/sp/");
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), damage, async (path, one) => {
      const { content } = await storage.get(path);
      if (one.kind === "delete") await storage.delete([path]);
      else await storage.put(path, damaged(content, one));
      const error: unknown = await readAll(storage, "flights-1/savepoints/sp/").catch((reason: unknown) => reason);
      await storage.put(path, content);
      if (one.kind === "delete" && path.endsWith("manifest.json")) expect(isMillraceError(error, "SNAPSHOT_MISSING")).toBe(true);
      else {
        expect(isMillraceError(error, "SNAPSHOT_CORRUPT"), String(error)).toBe(true);
        expect((error as MillraceError).subject).toContain(path);
      }
    }),
    { numRuns: 600 },
  );
});

test("a damaged latest checkpoint leaves the one before usable", async () => {
  const { storage, job } = await prepared();
  const [latest, before] = await job.store.checkpoints();
  if (latest === undefined || before === undefined) throw new Error("there are two checkpoints");
  const snapshot = await StoredSnapshot.open(storage, latest.folder);
  const newest = snapshot.filePath(snapshot.manifest.files.length - 1);
  const { content } = await storage.get(newest);
  await storage.put(newest, content.subarray(0, content.length - 10));
  await expect(readAll(storage, latest.folder)).rejects.toMatchObject({ code: "SNAPSHOT_CORRUPT" });
  await readAll(storage, before.folder, before.sha256);
});

test("a manifest that was replaced by another whole one is noticed", async () => {
  const { storage, job } = await prepared();
  const [latest, before] = await job.store.checkpoints();
  if (latest === undefined || before === undefined) throw new Error("there are two checkpoints");
  await storage.put(`${latest.folder}manifest.json`, (await storage.get(`${before.folder}manifest.json`)).content);
  await expect(readAll(storage, latest.folder, latest.sha256)).rejects.toMatchObject({ code: "SNAPSHOT_CORRUPT" });
});

test("what is not damaged reads as it was", async () => {
  const { job } = await prepared();
  const latest = await job.store.latest();
  if (latest === undefined) throw new Error("there is a checkpoint");
  await expectSnapshot(await job.store.load(latest), job.state.entries, 3);
});
