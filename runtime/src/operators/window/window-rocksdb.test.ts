// Windows whose state does not fit its memory: the same comparison with the reference over RocksDB, evicting all the time.
import { expect, test, vi } from "vitest";
import { casesOf, randomCases } from "../../../../test/reference/random.ts";
import { allCalls, compareRuns, eventSchema, keyChoices, randomAligned, randomSteps } from "../../../../test/reference/windows-cases.ts";
import { type Mode, ReferenceSessions, ReferenceWindows } from "../../../../test/reference/windows.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { rocksdbBackend } from "../../state/rocksdb/rocksdb-backend.ts";
import { RocksStore } from "../../state/rocksdb/rocks-store.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { windowAggregate } from "./window-aggregate.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

test("windows over RocksDB with next to no memory give the same", async () => {
  let compared = 0;
  // What is read back was evicted before.
  const reads = vi.spyOn(RocksStore.prototype, "getMany");
  const backend = rocksdbBackend({ heapBytes: 2048, blockCacheBytes: 1 << 16, writeBufferBytes: 1 << 16 });
  await randomCases("windows over RocksDB", 16, async (random, index) => {
    const isSession = index % 2 === 1;
    const aligned = randomAligned(random);
    const gapMs = random.int(1, 12);
    const latenessMs = random.chance(0.5) ? 0 : random.int(1, 15);
    const firing: Mode = "changelog";
    const layout = keyLayout(eventSchema, random.pick(keyChoices));
    const window = isSession ? ({ kind: "session", gapMs } as const) : aligned;
    const retracting = !isSession && random.chance(0.3);
    const params = { input: eventSchema, key: layout, window, calls: allCalls, latenessMs, firing, lateOutput: "late", retracting };
    const group = await HarnessGroup.open({
      factory: windowAggregate(params),
      inputs: [eventSchema],
      keys: [layout],
      maxParallelism: 4,
      backend,
    });
    const reference = isSession ? new ReferenceSessions(gapMs, latenessMs, firing) : new ReferenceWindows(aligned, latenessMs, firing);
    const shape = { keys: 30, delayMs: 12, paceMs: 8, steps: 16, retractions: retracting, restarts: random.chance(0.3) };
    try {
      compared += await compareRuns(group, reference, randomSteps(random, shape));
    } catch (error) {
      throw new Error(`${JSON.stringify({ window, latenessMs, retracting })} ${(error as Error).message}`, { cause: error });
    }
  });
  expect(compared).toBeGreaterThan(casesOf(300));
  const readBack = reads.mock.results.flatMap(({ value }) => (value as readonly unknown[]).filter((found) => found !== undefined)).length;
  reads.mockRestore();
  expect(readBack).toBeGreaterThan(casesOf(500));
});
