// The snapshots that earlier versions wrote: the project restores them, and a reader written from the documentation alone reads the same.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { openStorage } from "../../../runtime/src/checkpoint/storage/open-storage.ts";
import { MemoryStorage } from "../../../runtime/src/checkpoint/storage/memory-storage.ts";
import { CheckpointStore, type SnapshotRef } from "../../../runtime/src/checkpoint/store/checkpoint-store.ts";
import { StoredSnapshot } from "../../../runtime/src/checkpoint/store/stored-snapshot.ts";
import { entryRows } from "../../../runtime/src/cli/savepoint/entry-rows.ts";
import { entryMerging } from "../../../runtime/src/state/entry-merging.ts";
import { expectedEntries, GoldenState, maxParallelism } from "../../golden/golden-state.ts";
import { crc32c, murmur3, readSnapshot } from "../../golden/read-snapshot.mjs";

const golden = fileURLToPath(new URL("../../golden/snapshot-v1/", import.meta.url));
const snapshots = ["golden/chk-3/", "golden/savepoints/golden/"] as const;
const sorted = (entries: readonly unknown[]): readonly string[] => entries.map((entry) => JSON.stringify(sortedMembers(entry))).sort();
const folder = mkdtempSync(join(tmpdir(), "millrace-golden-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function sortedMembers(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sortedMembers(member)]),
  );
}

const large = (fill: number): string => Buffer.alloc(5000, fill).toString("hex");
const expectedLists = [
  { uid: "golden", name: "small", redistribution: "union", subtask: 0, key: "from 0", value: "0300" },
  { uid: "golden", name: "small", redistribution: "union", subtask: 1, key: "from 1", value: "0301" },
  { uid: "golden", name: "large", redistribution: "split", subtask: 0, key: "ä", value: large(1) },
  { uid: "golden", name: "large", redistribution: "split", subtask: 1, key: "ä", value: large(2) },
];

describe("the golden snapshot of format version 1", () => {
  test("the bytes are the ones that were released", () => {
    const files = [...snapshots].map((name) =>
      createHash("sha256")
        .update(readFileSync(join(golden, name, "manifest.json")))
        .digest("hex"),
    );
    expect(files).toEqual([
      "d6ecdf7a833161083a2e02da1e70d9d27710ef3bf26117f97b52af035f3ec9f7",
      "73a12542ee15265662b5270ee6e34f59077828a57b61e2788723a9e78cb39d78",
    ]);
  });

  test.each(snapshots)("a reader written from the documentation alone reads all of %s", (name) => {
    const { entries, lists, sinks, manifest } = readSnapshot(join(golden, name));
    expect(sorted(entries)).toEqual(sorted(expectedEntries));
    expect(sorted(lists)).toEqual(sorted(expectedLists));
    expect(sinks).toEqual([{ uid: "out", subtask: 0, value: "prepared 3" }]);
    expect(manifest.operators["in"]?.source?.splits).toEqual([
      { id: "in-0", position: { offset: "1152921504606846976" }, subtask: 0, watermarkMs: 5 },
      { id: "in-1", position: null, subtask: 0, watermarkMs: null },
    ]);
  });

  test("the check values of the documentation hold", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(murmur3(Buffer.from("hello"))).toBe(0x248bfa47);
  });

  test.each(snapshots)("%s restores, at any parallelism", async (name) => {
    const storage = await openStorage(golden, { mustExist: true });
    const store = CheckpointStore.open({ storage, jobName: "golden", jobId: "golden", maxParallelism, planFingerprint: "" });
    const ref: SnapshotRef = { storage, folder: name };
    const restored = await store.load(ref);
    expect([restored.checkpointId, restored.committed, restored.watermarkMs("golden")]).toEqual([3, true, 3000]);
    expect(restored.source("in")).toEqual({
      splits: [
        { split: { id: "in-0", position: { offset: "1152921504606846976" } }, watermarkMs: 5 },
        { split: { id: "in-1", position: null }, watermarkMs: Number.NEGATIVE_INFINITY },
      ],
      finished: ["in-9"],
      enumerator: { seen: ["in-0"] },
    });
    expect(restored.sinkStates("out")?.map((bytes) => Buffer.from(bytes).toString())).toEqual(["prepared 3"]);
    expect(restored.operatorState("golden", "small", 1, 3).map(({ key }) => key)).toEqual(["from 0", "from 1"]);
    for (const parallelism of [1, 3]) {
      // What is restored is captured into a snapshot of a job of its own, and read back.
      const copy = new MemoryStorage();
      const again = CheckpointStore.open({
        storage: copy,
        jobName: "again",
        jobId: "again",
        maxParallelism,
        planFingerprint: "",
        merging: entryMerging,
      });
      await again.acquireEpoch();
      await again.restore(ref);
      const writer = again.begin(again.nextCheckpointId);
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const range = {
          from: Math.floor((maxParallelism * subtask) / parallelism),
          to: Math.floor((maxParallelism * (subtask + 1)) / parallelism),
        };
        const state = await GoldenState.open(range, folder);
        const stored = restored.keyedState("golden", range);
        if (stored === undefined) throw new Error("there is keyed state");
        await state.backend.restore(stored);
        // A base of what was restored replaces everything that was copied.
        const base = again.startBase({
          uid: "golden",
          subtask,
          keyGroups: range,
          tables: state.backend.capture().tables,
          sinceCheckpointId: 3,
        });
        const scan = state.backend.startBase();
        for (let blocks = scan.next(1 << 20); blocks !== null; blocks = scan.next(1 << 20)) await base.add(blocks);
        await base.finish(3);
        await writer.addSubtask({ uid: "golden", kind: "process", subtask, parallelism, keyGroups: range, keyed: state.backend.capture() });
      }
      await writer.finish();
      await again.close();
      const latest = await again.latest();
      if (latest === undefined) throw new Error("there is a checkpoint");
      const read = [];
      for await (const { form: _form, ...row } of entryRows(await StoredSnapshot.open(latest.storage, latest.folder), {})) read.push(row);
      expect(sorted(read)).toEqual(sorted(expectedEntries));
    }
    await storage.close();
  });
});
