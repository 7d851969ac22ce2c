// Any history of checkpoints, failures, bases, rescalings and restarts: every published snapshot holds what was captured for it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { FaultyStorage } from "../testing/faulty-storage.suite.ts";
import { expectSnapshot, JobModel, openStore, type TakenCheckpoint } from "../testing/job-model.suite.ts";
import type { Model } from "../testing/plain-state.suite.ts";
import { MemoryStorage } from "../storage/memory-storage.ts";

type Step =
  | { readonly kind: "put" | "delete"; readonly keys: readonly number[] }
  | { readonly kind: "checkpoint" }
  /** A scan goes on, and may end, between the capture and its upload; and state changes too. */
  | { readonly kind: "overlap"; readonly keys: readonly number[]; readonly count: number }
  | { readonly kind: "lost"; readonly at: number; readonly retry: "same" | "next" }
  | { readonly kind: "base"; readonly subtask: number }
  | { readonly kind: "scan"; readonly count: number }
  | { readonly kind: "restart"; readonly parallelism: number }
  | { readonly kind: "savepoint" };

const keys = fc.array(fc.nat(40), { minLength: 1, maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("put" as const, "delete" as const), keys }) },
  { weight: 4, arbitrary: fc.constant({ kind: "checkpoint" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("overlap" as const), keys, count: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("lost" as const), at: fc.nat(4), retry: fc.constantFrom("same" as const, "next" as const) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("base" as const), subtask: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("scan" as const), count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), parallelism: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "savepoint" as const }) },
);

class History {
  readonly #storage: FaultyStorage;
  readonly #smallBaseBytes: number;
  job: JobModel;
  value = 0;
  published: { readonly id: number; readonly expected: Model } | undefined;

  constructor(storage: FaultyStorage, smallBaseBytes: number) {
    this.#storage = storage;
    this.#smallBaseBytes = smallBaseBytes;
    this.job = this.#newJob(2);
  }

  #newJob(parallelism: number): JobModel {
    const compaction = { maxDeltas: 3, smallBaseBytes: this.#smallBaseBytes, minDeltaBytes: 1_000_000 };
    return new JobModel(openStore(this.#storage, { compaction, retention: { count: 2 } }), parallelism);
  }

  async begin(): Promise<void> {
    await this.job.store.acquireEpoch();
  }

  async apply(one: Step): Promise<void> {
    const { job } = this;
    switch (one.kind) {
      case "put":
        for (const key of one.keys) job.state.put(`key-${key}`, `value-${this.value++}`);
        return;
      case "delete":
        for (const key of one.keys) job.state.delete(`key-${key}`);
        return;
      case "checkpoint":
        return this.#completed(await job.checkpoint());
      case "overlap": {
        const taken = job.take();
        for (const key of one.keys) job.state.put(`key-${key}`, `value-${this.value++}`);
        await job.scan(one.count);
        await job.save(taken);
        return this.#completed(taken);
      }
      case "lost":
        return this.#lost(one);
      case "base":
        if (!job.scanning) job.startBase(one.subtask % job.parallelism);
        return;
      case "scan":
        return job.scan(one.count);
      case "restart":
        return this.#restart(one.parallelism);
      case "savepoint":
        if (this.published !== undefined) await job.store.savepoint(this.published.id, `sp-${this.published.id}`);
        return;
    }
  }

  async #completed({ id, expected }: TakenCheckpoint): Promise<void> {
    this.published = { id, expected };
    const latest = await this.job.store.latest();
    if (latest === undefined) throw new Error("there is a checkpoint");
    await expectSnapshot(await this.job.store.load(latest), expected, 1 + (id % 8));
  }

  // One change of the storage fails, or only seems to. Then the same checkpoint is tried again, or the next one follows.
  async #lost({ at, retry }: Extract<Step, { kind: "lost" }>): Promise<void> {
    const { job } = this;
    const taken = job.take();
    this.#storage.fault = { at: this.#storage.changes.length + at, moment: at % 2 === 0 ? "before" : "after", dies: false };
    let failed = false;
    try {
      await job.save(taken);
    } catch (error) {
      if (!isMillraceError(error, "STORAGE_UNREACHABLE")) throw error;
      failed = true;
    }
    await job.store.close();
    this.#storage.fault = undefined;
    if (!failed) return this.#completed(taken);
    if (retry === "same") {
      await job.save(taken);
      return this.#completed(taken);
    }
    job.state.put("after", String(this.value++));
    return this.#completed(await job.checkpoint());
  }

  async #restart(parallelism: number): Promise<void> {
    await this.job.store.close();
    this.job = this.#newJob(parallelism);
    await this.job.store.acquireEpoch();
    const latest = await this.job.store.latest();
    if (latest === undefined) return;
    await this.job.restore(latest, parallelism);
    expect(Object.fromEntries(this.job.state.entries)).toEqual(Object.fromEntries(this.published?.expected ?? []));
  }
}

test("every published snapshot holds what was captured, whatever happened before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.constantFrom(0, 1_000_000), async (steps, smallBaseBytes) => {
      const history = new History(new FaultyStorage(new MemoryStorage()), smallBaseBytes);
      await history.begin();
      for (const one of steps) await history.apply(one);
      await history.apply({ kind: "checkpoint" });
      await history.apply({ kind: "savepoint" });
      await history.apply({ kind: "restart", parallelism: 3 });
      await history.apply({ kind: "checkpoint" });
      await history.job.store.close();
    }),
    { numRuns: 250 },
  );
});
