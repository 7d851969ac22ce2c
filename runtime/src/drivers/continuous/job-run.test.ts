// A run that has nothing to do reacts at once to what is asked of it: nothing here moves the clock that it would look around by.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { memorySink, memorySource } from "../../connectors/memory/index.ts";
import { string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { job } from "../../dsl/job.ts";
import { count } from "../../operators/aggregate/call.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import type { SnapshotSaver } from "./checkpointer.ts";
import { JobRun } from "./job-run.ts";

const Word = schema({ word: string() });

test("a savepoint that was asked for while a timed checkpoint is under way begins when that one is complete", async () => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-run-"));
  const clock = new ManualClock(0);
  const saves: { readonly checkpointId: number; finish(): void }[] = [];
  const saver: SnapshotSaver = {
    captured() {},
    save: ({ checkpointId }) =>
      new Promise((resolve) => {
        saves.push({ checkpointId, finish: () => resolve({ location: `memory:${checkpointId}`, writtenBytes: 0, totalBytes: 0 }) });
      }),
    savepoint: (checkpointId, id) =>
      Promise.resolve({
        id,
        url: `memory:${checkpointId}/${id}`,
        checkpointId,
        totalBytes: 0,
        formatVersion: 1,
        cutAtMs: 0,
        completedAtMs: 0,
      }),
    markCommitted: () => Promise.resolve(),
  };
  const { name, nodes } = job("idle", (flow) => flow.source("words", memorySource(Word)).to("out", memorySink())).build();
  const run = await JobRun.start({
    jobName: name,
    dataflow: { name, nodes },
    parallelism: 1,
    maxParallelism: 16,
    clock,
    log: silentLog,
    stateBackend: memoryBackend(),
    workDirectory: directory,
    checkpointIntervalMs: 1000,
    badRows: { onBadRecord: "fail", maxPerMinute: 0 },
    saver,
    checkpoints: { intervalMs: 1000, minPauseMs: 0, tolerableFailures: 0 },
    nextCheckpointId: 1,
    restoredSources: new Map(),
  });
  try {
    clock.advance(1000);
    await expect.poll(() => saves.length, { interval: 1, timeout: 60_000 }).toBe(1);
    const asked = run.snapshot("stop", "upgrade");
    // The loop has gone to rest again before the checkpoint completes.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    saves[0]?.finish();
    await expect.poll(() => saves.length, { interval: 1, timeout: 60_000 }).toBe(2);
    saves[1]?.finish();
    expect((await asked).location).toBe("memory:2/upgrade");
    expect(await run.done).toBe("stopped");
  } finally {
    for (const save of saves) save.finish();
    await rm(directory, { recursive: true, force: true });
  }
});

test("a checkpoint whose storage never answers ends the run once it has been late too often", async () => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-run-"));
  const clock = new ManualClock(0);
  let saves = 0;
  const saver: SnapshotSaver = {
    captured() {},
    save: () => {
      saves++;
      return new Promise<never>(() => {});
    },
    savepoint: () => Promise.reject(new Error("not asked for")),
    markCommitted: () => Promise.resolve(),
  };
  const { name, nodes } = job("hangs", (flow) => flow.source("words", memorySource(Word)).to("out", memorySink())).build();
  const run = await JobRun.start({
    jobName: name,
    dataflow: { name, nodes },
    parallelism: 1,
    maxParallelism: 16,
    clock,
    log: silentLog,
    stateBackend: memoryBackend(),
    workDirectory: directory,
    checkpointIntervalMs: 1000,
    badRows: { onBadRecord: "fail", maxPerMinute: 0 },
    saver,
    checkpoints: { intervalMs: 1000, minPauseMs: 0, tolerableFailures: 1, timeoutMs: 5000 },
    nextCheckpointId: 1,
    restoredSources: new Map(),
  });
  clock.advance(1000);
  await expect.poll(() => saves, { interval: 1, timeout: 60_000 }).toBe(1);
  clock.advance(5000);
  expect(run.checkpointer.history[0]).toMatchObject({ phase: "writing", failures: ["not complete within 5.0 s, still writing"] });
  clock.advance(5000);
  await expect(run.done).rejects.toMatchObject({ code: "CHECKPOINT_FAILED", subject: "checkpoint 1" });
  expect(run.checkpointer.history[0]?.phase).toBe("failed");
  await rm(directory, { recursive: true, force: true });
});

test("single operators have the instances that the job gives them, whatever the others have", async () => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-run-"));
  const { name, nodes } = job("uneven", (flow) =>
    flow.source("words", memorySource(Word)).keyBy("word").aggregate({ n: count() }, { uid: "counts" }).to("out", memorySink()),
  ).build();
  const run = await JobRun.start({
    jobName: name,
    dataflow: { name, nodes },
    parallelism: 2,
    vertexParallelism: { counts: 5, out: 1 },
    maxParallelism: 16,
    clock: new ManualClock(0),
    log: silentLog,
    stateBackend: memoryBackend(),
    workDirectory: directory,
    checkpointIntervalMs: Infinity,
    badRows: { onBadRecord: "fail", maxPerMinute: 0 },
    saver: undefined,
    checkpoints: { intervalMs: Infinity, minPauseMs: 0, tolerableFailures: 0 },
    nextCheckpointId: 1,
    restoredSources: new Map(),
  });
  const { sources, operators, sinks } = run.task;
  expect([sources.length, operators.filter(({ instance }) => instance.uid === "counts").length, sinks.length]).toEqual([2, 5, 1]);
  await run.snapshot("stop");
  await run.done;
  await rm(directory, { recursive: true, force: true });
});
