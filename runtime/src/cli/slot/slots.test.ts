// Slots as threads of a process: a job over four of them, its state restored at another parallelism, a thread that dies.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expectedCounts, readings, seenCounts, writeInput } from "../../../../test/cli/readings.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import type { SnapshotRef } from "../../checkpoint/store/checkpoint-store.ts";
import { TestCluster } from "../../drivers/cluster/testing/test-cluster.suite.ts";
import { defaultExchange } from "../../drivers/exchange/exchange.ts";
import { loadJob } from "../run/load-job.ts";
import { configOfModule } from "../run/run-config.ts";
import { openSlots } from "./open-slots.ts";

const module = fileURLToPath(new URL("counts-job.suite.ts", import.meta.url));

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-threads-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function start(parallelism: number, slots: number, restore?: SnapshotRef): Promise<TestCluster> {
  const parameters = { input: join(directory, "input"), output: join(directory, "output") };
  const url = pathToFileURL(join(directory, "snapshots")).href;
  const run = configOfModule(module, { param: parameters, storage: url });
  const openSlot = openSlots(
    {
      taskManagerId: "tm",
      run: { ...run, maxParallelism: 32 },
      jobId: "slot-counts",
      directory: join(directory, "work"),
      exchangePort: 0,
      exchange: defaultExchange,
      log: { format: "text", level: "error" },
    },
    "127.0.0.1",
  );
  return TestCluster.start({
    dataflow: await loadJob(module, parameters),
    parallelism,
    slots,
    storage: await openStorage(url),
    directory: join(directory, "unused"),
    openSlot,
    ...(restore === undefined ? {} : { restore }),
  });
}

describe("slots as threads", () => {
  test("a job over four threads gives what a plain computation gives, also from a snapshot at another parallelism", async () => {
    const parts = [0, 1, 2].map((shift) => readings(3000, shift));
    writeInput(join(directory, "input"), ...parts);
    const first = await start(4, 4);
    const { ref } = await first.checkpoint("hold");
    const statuses = await Promise.all(first.slots.map((slot) => slot.status()));
    expect(statuses.map(([status]) => [status?.state, status?.committedCheckpointId])).toEqual(
      Array.from({ length: 4 }, () => ["holding", 1]),
    );
    await first.close();
    const second = await start(3, 2, ref);
    await second.finish();
    await second.close();
    expect(seenCounts(join(directory, "output"))).toEqual(expectedCounts(parts.flat()));
    expect(await readdir(join(directory, "work"))).toEqual([]);
  });

  test("a plan that differs from the leader's is refused", async () => {
    writeInput(join(directory, "input"), readings(10));
    const cluster = await start(2, 2);
    cluster.slots[0]?.command({
      epoch: 99,
      slice: { region: "other", attempt: 1, slot: 0 },
      kind: "deploy",
      planFingerprint: "another",
      vertices: [],
      slots: [],
      checkpointIntervalMs: 1000,
      alignmentTimeoutMs: 1000,
    });
    const failed = await cluster.failed();
    expect([failed.code, failed.fatal]).toEqual(["SLOT_PLAN_DIFFERS", true]);
    await cluster.close();
  });

  test("a slot can be profiled while it runs", async () => {
    writeInput(join(directory, "input"), readings(10));
    const cluster = await start(1, 1);
    const slot = cluster.slots[0] as unknown as { profile(durationMs: number): Promise<{ readonly nodes: readonly unknown[] }> };
    expect((await slot.profile(50)).nodes.length).toBeGreaterThan(1);
    await cluster.close();
  });
});
