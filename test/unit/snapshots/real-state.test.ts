// The engine's keyed state through the checkpoint store: merged savepoints, rescaling, and a schema that changed between checkpoints.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { CheckpointStore, type SnapshotRef } from "../../../runtime/src/checkpoint/store/checkpoint-store.ts";
import { StoredSnapshot } from "../../../runtime/src/checkpoint/store/stored-snapshot.ts";
import { MemoryStorage } from "../../../runtime/src/checkpoint/storage/memory-storage.ts";
import { Decimal } from "../../../runtime/src/core/schema/decimal.ts";
import type { Schema } from "../../../runtime/src/core/schema/schema.ts";
import { entryMerging } from "../../../runtime/src/state/entry-merging.ts";
import { memoryBackend } from "../../../runtime/src/state/memory/memory-backend.ts";
import { maxParallelism, RealState, totalsOne, totalsTwo } from "./real-state.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-real-state-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let opened = 0;
const openState = (from: number, to: number, totals: Schema = totalsOne): Promise<RealState> =>
  RealState.open(memoryBackend(), join(folder, String(opened++)), { from, to }, totals);

function openStore(storage: MemoryStorage): CheckpointStore {
  return CheckpointStore.open({ storage, jobName: "delays", jobId: "delays", planFingerprint: "p", maxParallelism, merging: entryMerging });
}

async function checkpoint(
  store: CheckpointStore,
  id: number,
  instances: readonly { readonly state: RealState; readonly from: number; readonly to: number }[],
): Promise<void> {
  const writer = store.begin(id);
  for (const [subtask, { state, from, to }] of instances.entries()) {
    await writer.addSubtask({
      uid: "delays",
      kind: "process",
      subtask,
      parallelism: instances.length,
      keyGroups: { from, to },
      keyed: state.backend.capture(),
    });
  }
  await writer.finish();
}

async function restoredContents(
  store: CheckpointStore,
  ref: SnapshotRef | undefined,
  parallelism: number,
  totals: Schema = totalsOne,
): Promise<readonly string[]> {
  if (ref === undefined) throw new Error("there is a snapshot");
  const restored = await store.load(ref);
  const lines: string[] = [];
  for (let i = 0; i < parallelism; i++) {
    const from = Math.floor((maxParallelism * i) / parallelism);
    const to = Math.floor((maxParallelism * (i + 1)) / parallelism);
    const state = await openState(from, to, totals);
    const stored = restored.keyedState("delays", { from, to });
    if (stored !== undefined) await state.backend.restore(stored);
    lines.push(...state.contents());
    await state.backend.close();
  }
  return lines.sort();
}

const total = (flights: number, delay: string, note: string | null): Record<string, unknown> => ({
  flights: BigInt(flights),
  delay: Decimal.parse(delay),
  note,
});

function fill(state: RealState, round: number): void {
  state.clock.advance(1_000);
  for (let i = 0; i < 30; i++) {
    const key = { origin: i % 7 === 0 ? null : `AP${(i * round) % 11}`, hour: (i % 5) * 3_600_000 - 1 };
    if ((i + round) % 9 === 0) state.deleteTotal(key, i % 3 === 0 ? -i : i);
    else state.putTotal(key, i % 3 === 0 ? -i : i, total(i * round, `${i}.${round}5`, i % 4 === 0 ? null : `round ${round}`));
    if ((i + round) % 6 === 0) state.deleteItem(`AP${i % 8}`, i - 10);
    else state.putItem(`AP${i % 8}`, i - 10, `carrier ${round} ${i}`);
    state.putTimer(BigInt(i % 13) - 5n, i % 2, round * 1000 + i);
  }
}

describe("keyed state through snapshots", () => {
  test("a chain of checkpoints and a savepoint merged from it restore what was there, at any parallelism", async () => {
    const storage = new MemoryStorage();
    const store = openStore(storage);
    await store.acquireEpoch();
    const state = await openState(0, maxParallelism);
    for (let id = 1; id <= 4; id++) {
      fill(state, id);
      await checkpoint(store, id, [{ state, from: 0, to: maxParallelism }]);
    }
    const { url } = await store.savepoint(4, "sp");
    const expected = state.contents();
    expect(expected.length).toBeGreaterThan(60);
    const savepoint = { storage, folder: "delays/savepoints/sp/" };
    const { sections } = await (await StoredSnapshot.open(storage, savepoint.folder)).reader(0);
    const entryCount = sections.flatMap((section) => section.blocks).reduce((sum, block) => sum + block.entryCount, 0);
    expect(entryCount, "each entry is there once").toBe(expected.length);
    for (const parallelism of [1, 3, 8]) {
      expect(await restoredContents(store, await store.latest(), parallelism)).toEqual(expected);
      expect(await restoredContents(store, savepoint, parallelism), url).toEqual(expected);
    }
  });

  test("blocks of an earlier schema are read as such, from checkpoints and merged savepoints", async () => {
    const storage = new MemoryStorage();
    const store = openStore(storage);
    await store.acquireEpoch();
    const one = await openState(0, maxParallelism);
    fill(one, 1);
    await checkpoint(store, 1, [{ state: one, from: 0, to: maxParallelism }]);
    await store.close();

    // Version 2 of the job starts from the checkpoint: its deltas are of the new schema, on top of a first capture of the old one.
    const later = openStore(storage);
    await later.acquireEpoch();
    const ref = await later.latest();
    if (ref === undefined) throw new Error("there is a checkpoint");
    const restored = await later.restore(ref);
    const two = await openState(0, maxParallelism, totalsTwo);
    const stored = restored.keyedState("delays", { from: 0, to: maxParallelism });
    if (stored === undefined) throw new Error("there is state");
    await two.backend.restore(stored);
    two.putTotal({ origin: "AP1", hour: -1 }, 5, { ...total(7, "1.25", "new"), worst: 99n });
    two.putTotal({ origin: "XYZ", hour: 0 }, 0, { ...total(8, "2.50", null), worst: 100n });
    await checkpoint(later, 2, [{ state: two, from: 0, to: maxParallelism }]);
    await later.savepoint(2, "sp");
    const latest = await later.latest();
    const specs =
      latest === undefined
        ? []
        : (await later.load(latest)).manifest.operators["delays"]?.tables.map(({ spec }) => `${spec.name} ${spec.valueOrder.join()}`);
    expect(specs?.filter((spec) => spec.startsWith("totals"))).toEqual(["totals flights,delay,note", "totals flights,delay,note,worst"]);
    const expected = two.contents();
    expect(expected.filter((line) => line.includes('"99"') || line.includes('"100"')).length).toBe(2);
    expect(expected.some((line) => line.startsWith("total") && line.includes('"-1"'))).toBe(true);
    expect(await restoredContents(later, latest, 3, totalsTwo)).toEqual(expected);
    expect(await restoredContents(later, { storage, folder: "delays/savepoints/sp/" }, 2, totalsTwo)).toEqual(expected);
  });
});
