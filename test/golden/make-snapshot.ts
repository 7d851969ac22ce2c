// Writes the golden snapshot of the current format version: `node test/golden/make-snapshot.ts <folder>`. Run once per version; what
// it wrote for earlier versions stays as it is, for ever.
import { resolve } from "node:path";
import { ManualClock } from "../../runtime/src/base/clock.ts";
import { openStorage } from "../../runtime/src/checkpoint/storage/open-storage.ts";
import { CheckpointStore } from "../../runtime/src/checkpoint/store/checkpoint-store.ts";
import { Decimal } from "../../runtime/src/core/schema/decimal.ts";
import { entryMerging } from "../../runtime/src/state/entry-merging.ts";
import { fullValue, GoldenState, keyGroupOfKey, maxParallelism, sparseValue } from "./golden-state.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("name the folder to write to");

const storage = await openStorage(resolve(folder));
const store = CheckpointStore.open({
  storage,
  jobName: "golden",
  jobId: "golden",
  maxParallelism,
  planFingerprint: "0123456789abcdef",
  createdBy: "millrace 0.1.0",
  merging: entryMerging,
  compaction: { smallBaseBytes: 0 },
  clock: new ManualClock(1_700_000_000_000),
});
await store.acquireEpoch();
const ranges = [
  { from: 0, to: 2 },
  { from: 2, to: 4 },
];
const instances = await Promise.all(ranges.map((range) => GoldenState.open(range, resolve(folder))));
const instanceOf = (of: "name" | "place" | "number", key: Readonly<Record<string, unknown>>): GoldenState => {
  const instance = instances[keyGroupOfKey(of, key) < 2 ? 0 : 1];
  if (instance === undefined) throw new Error("there are two instances");
  return instance;
};
let tables: ReturnType<GoldenState["backend"]["capture"]>["tables"] = [];

async function checkpoint(id: number): Promise<void> {
  const writer = store.begin(id);
  for (const [subtask, { backend }] of instances.entries()) {
    const keyed = backend.capture();
    tables = keyed.tables;
    const lists = [
      { name: "small", redistribution: "union" as const, entries: [{ key: `from ${subtask}`, value: new Uint8Array([id, subtask]) }] },
      { name: "large", redistribution: "split" as const, entries: [{ key: "ä", value: new Uint8Array(5000).fill(subtask + 1) }] },
    ];
    await writer.addSubtask({
      uid: "golden",
      kind: "process",
      subtask,
      parallelism: 2,
      keyGroups: ranges[subtask] ?? { from: 0, to: 0 },
      keyed,
      lists,
      watermarkMs: 1000 * id + subtask,
    });
  }
  const splits = [
    { split: { id: "in-0", position: { offset: String(2n ** 60n) } }, watermarkMs: 5 },
    { split: { id: "in-1", position: null } },
  ];
  await writer.addSubtask({ uid: "in", kind: "source.kafka", subtask: 0, parallelism: 1, splits });
  await writer.addSubtask({ uid: "out", kind: "sink.kafka", subtask: 0, parallelism: 1, sinkState: Buffer.from(`prepared ${id}`) });
  await writer.finish(new Map([["in", { enumerator: { seen: ["in-0"] }, finished: ["in-9"] }]]));
}

const put = (name: string, value: Readonly<Record<string, unknown>>): void => instanceOf("name", { name }).putEverything(name, value);
const putCount = (i: number, count: bigint): void => {
  const key = {
    origin: i % 3 === 0 ? null : `AP${i}`,
    hour: i * -3_600_000,
    open: i % 2 === 0,
    fare: Decimal.parse(`${i}.50`),
    side: i % 2 === 0 ? "in" : "out",
  };
  instanceOf("place", key).putCount(key, i - 30, count);
};
const { note: _note, ...withoutNote } = fullValue;

put("full", fullValue);
put("changed", fullValue);
put("gone", fullValue);
for (let i = 0; i < 60; i++) putCount(i, BigInt(i));
for (const subKey of ["", "b", "ü"])
  instanceOf("number", { id: -5_000_000_000_000_000_000n }).putItem(-5_000_000_000_000_000_000n, subKey, `item ${subKey}`);
await checkpoint(1);
// A base of the first instance, whose scan meets a change and a deletion that come before it ends.
const [first] = instances;
if (first === undefined) throw new Error("there are two instances");
const scan = first.backend.startBase();
const base = store.startBase({ uid: "golden", subtask: 0, keyGroups: { from: 0, to: 2 }, tables, sinceCheckpointId: 1 });
for (let blocks = scan.next(100); blocks !== null; blocks = scan.next(100)) await base.add(blocks);
put("changed", sparseValue);
instanceOf("name", { name: "gone" }).deleteEverything("gone");
await checkpoint(2);
await base.finish(2);
put("missing", withoutNote);
for (let i = 0; i < 20; i++) putCount(i, BigInt(i * 1000));
instanceOf("number", { id: 7n }).putItem(7n, "only", "");
instanceOf("name", { name: "early" }).putTimer("early", 0, -1);
instanceOf("name", { name: "early" }).putTimer("early", -60_000, 1_700_000_000_000);
instanceOf("name", { name: "late" }).putTimer("late", 3, 9_007_199_254_740_991);
await checkpoint(3);
await store.markCommitted(3);
await store.savepoint(3, "golden");
await store.close();
// It holds the URL of where this was written, which is nobody's business elsewhere.
await storage.delete(["golden/savepoint-results/golden.json"]);
await storage.close();
