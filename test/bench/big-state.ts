// State larger than memory: fills the RocksDB backend with N GB of keys under a small heap budget, checks sums, captures and restores.
//   node test/bench/big-state.ts [--gb 1] [--heap-mb 256] [--value-bytes 64] [--dir FOLDER]
// Prints time, rate, memory and disk of each step; exits with 1 when a sum is wrong or the heap part passed its budget.
import { open as openFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../runtime/src/base/clock.ts";
import { Batch, Rows } from "../../runtime/src/core/batch/batch.ts";
import { KeyReader } from "../../runtime/src/core/keys/key-batch.ts";
import { keyLayout } from "../../runtime/src/core/keys/key-layout.ts";
import type { KeyedStateBackend, StateBlock, StoredTableSpec } from "../../runtime/src/core/ports/state-backend.ts";
import type { KeyedTable } from "../../runtime/src/core/ports/state.ts";
import { int53, string } from "../../runtime/src/core/schema/field.ts";
import { schema } from "../../runtime/src/core/schema/schema.ts";
import { rocksdbBackend } from "../../runtime/src/state/rocksdb/rocksdb-backend.ts";

const { values: options } = parseArgs({
  options: {
    gb: { type: "string", default: "1" },
    "heap-mb": { type: "string", default: "256" },
    "value-bytes": { type: "string", default: "64" },
    dir: { type: "string", default: tmpdir() },
  },
});
const stateBytes = Number(options.gb) * 1e9;
const heapBytes = Number(options["heap-mb"]) * 2 ** 20;
const valueBytes = Number(options["value-bytes"]);
// An entry as a user counts it: an 8-byte key, a count, a sum and a text.
const entryBytes = 8 + 16 + valueBytes;
const keyCount = Math.floor(stateBytes / entryBytes);
const batchRows = 2048;
const captureEvery = 4_000_000;
const padding = "x".repeat(Math.max(0, valueBytes - 12));

const keySchema = schema({ id: int53() });
const layout = keyLayout(keySchema, ["id"]);
const valueSchema = schema({ count: int53(), sum: int53(), note: string() });
const rows = new Rows(keySchema, batchRows);
rows.ready.fill(1);
rows.size = batchRows;
const reader = new KeyReader(layout);
const slots = new Int32Array(batchRows);
const ids = (rows.columns[0] as { numbers: Float64Array }).numbers;

/** Spreads 0..keyCount-1 over the integers without collisions, so that neighbours in time are not neighbours in the store. */
const keyOf = (i: number): number => (Math.imul(i, 0x9e3779b1) >>> 0) * 4 + (i % 4);

class Folder {
  readonly path: string;
  readonly index: { readonly block: Omit<StateBlock, "bytes">; readonly at: number; readonly size: number }[] = [];
  bytes = 0;
  tables: readonly StoredTableSpec[] = [];

  constructor(path: string) {
    this.path = path;
  }

  async append(blocks: readonly StateBlock[]): Promise<void> {
    const file = await openFile(this.path, "a");
    for (const { bytes, ...block } of blocks) {
      await file.write(bytes);
      this.index.push({ block, at: this.bytes, size: bytes.length });
      this.bytes += bytes.length;
    }
    await file.close();
  }

  async *blocks(): AsyncGenerator<StateBlock> {
    const file = await openFile(this.path, "r");
    try {
      for (const { block, at, size } of this.index) {
        const bytes = Buffer.allocUnsafeSlow(size);
        await file.read(bytes, 0, size, at);
        yield { ...block, bytes };
      }
    } finally {
      await file.close();
    }
  }
}

let worstHeapPart = 0;
let failed = false;
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
const expect = (what: string, got: number, wanted: number): void => {
  if (got !== wanted) failed = true;
  console.log(`  ${got === wanted ? "ok" : "WRONG"}: ${what} ${got}${got === wanted ? "" : `, not ${wanted}`}`);
};

async function step<T>(name: string, entries: number, backend: () => KeyedStateBackend, run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const cpu = process.cpuUsage();
  const result = await run();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const size = backend().sizeBytes();
  worstHeapPart = Math.max(worstHeapPart, size.memory);
  const { rss, heapUsed } = process.memoryUsage();
  console.log(
    `${name}: ${seconds.toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s CPU), ${(entries / seconds / 1000).toFixed(0)} k entries/s; heap part ${megabytes(size.memory)}, V8 heap ${megabytes(heapUsed)}, RSS ${megabytes(rss)}, disk ${megabytes(size.disk)}`,
  );
  return result;
}

/** Adds `by` to the count and i to the sum of every `every`-th key, and gives each a text of its own. */
async function update(backend: KeyedStateBackend, table: KeyedTable, every: number, captureTo: Folder | null): Promise<void> {
  let sinceCapture = 0;
  for (let i = 0; i < keyCount; ) {
    let count = 0;
    for (; count < batchRows && i < keyCount; i += every) ids[count++] = keyOf(i);
    rows.size = count;
    table.findAll(reader.read(new Batch(rows)), null, slots, true);
    const [counts, sums, notes] = table.columns;
    if (counts === undefined || sums === undefined || notes === undefined) throw new Error("columns");
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      counts.numbers[slot] = (counts.numbers[slot] as number) + 1;
      sums.numbers[slot] = (sums.numbers[slot] as number) + ((ids[k] as number) % 1000);
      if (counts.numbers[slot] === 1) notes.setText(slot, `${ids[k]}${padding}`);
    }
    table.touchAll(slots, count);
    sinceCapture += count;
    worstHeapPart = Math.max(worstHeapPart, i % (batchRows * 64) < batchRows ? backend.sizeBytes().memory : 0);
    if (captureTo !== null && sinceCapture >= captureEvery) {
      await captureTo.append(backend.capture().blocks);
      sinceCapture = 0;
    }
  }
}

function totals(table: KeyedTable): { entries: number; count: number; sum: number; wrongNotes: number } {
  const total = { entries: 0, count: 0, sum: 0, wrongNotes: 0 };
  const target = new Rows(keySchema, 1);
  target.ready.fill(1);
  const [counts, values, notes] = table.columns;
  table.visitAll((visited, count) => {
    for (let k = 0; k < count; k++) {
      const slot = visited[k] as number;
      total.entries++;
      total.count += counts?.numbers[slot] as number;
      total.sum += values?.numbers[slot] as number;
      table.copyKey(slot, target, 0, [0]);
      if (notes?.getText(slot) !== `${target.columns[0]?.numbers[0]}${padding}`) total.wrongNotes++;
    }
  });
  return total;
}

const folder = await mkdtemp(join(options.dir, "millrace-big-state-"));
try {
  console.log(`${keyCount} keys of about ${entryBytes} bytes: ${options.gb} GB under a heap budget of ${options["heap-mb"]} MB`);
  const factory = rocksdbBackend({ heapBytes });
  const openTable = async (name: string): Promise<{ backend: KeyedStateBackend; table: KeyedTable }> => {
    const backend = await factory.open({
      uid: "big",
      keyGroups: { from: 0, to: 128 },
      maxParallelism: 128,
      clock: systemClock,
      directory: join(folder, name),
    });
    return { backend, table: backend.state.table({ name: "t", key: layout, value: valueSchema }) };
  };
  const first = await openTable("first");
  const stored = new Folder(join(folder, "blocks"));
  await step(
    "fill, with a capture every 4 M changes",
    keyCount,
    () => first.backend,
    () => update(first.backend, first.table, 1, stored),
  );
  const last = await step(
    "capture of the rest",
    keyCount % captureEvery,
    () => first.backend,
    async () => {
      const capture = first.backend.capture();
      await stored.append(capture.blocks);
      return capture;
    },
  );
  stored.tables = last.tables;
  console.log(`  captured ${megabytes(stored.bytes)}`);
  for (const percent of [1, 10]) {
    const every = 100 / percent;
    await step(
      `update of ${percent} % of the keys`,
      keyCount / every,
      () => first.backend,
      () => update(first.backend, first.table, every, null),
    );
    const before = stored.bytes;
    await step(
      `capture of ${percent} %`,
      keyCount / every,
      () => first.backend,
      async () => stored.append(first.backend.capture().blocks),
    );
    console.log(`  ${megabytes(stored.bytes - before)} for ${percent} % of the keys`);
  }
  let wantedSum = 0;
  for (let i = 0; i < keyCount; i++) wantedSum += (keyOf(i) % 1000) * (1 + (i % 100 === 0 ? 1 : 0) + (i % 10 === 0 ? 1 : 0));
  const wantedCount = keyCount + Math.ceil(keyCount / 100) + Math.ceil(keyCount / 10);
  const check = async (name: string, { backend, table }: { backend: KeyedStateBackend; table: KeyedTable }): Promise<void> => {
    const total = await step(
      name,
      keyCount,
      () => backend,
      () => Promise.resolve(totals(table)),
    );
    expect("entries", total.entries, keyCount);
    expect("counts", total.count, wantedCount);
    expect("sums", total.sum, wantedSum);
    expect("wrong texts", total.wrongNotes, 0);
  };
  await check("read of all", first);
  const base = new Folder(join(folder, "base"));
  base.tables = last.tables;
  await step(
    "base scan",
    keyCount,
    () => first.backend,
    async () => {
      const scan = first.backend.startBase();
      for (let blocks = scan.next(1 << 20); blocks !== null; blocks = scan.next(1 << 20)) await base.append(blocks);
    },
  );
  console.log(`  base of ${megabytes(base.bytes)}`);
  await base.append(first.backend.capture().blocks);
  await first.backend.close();
  const second = await openTable("second");
  await step(
    "restore of the base",
    keyCount,
    () => second.backend,
    () => second.backend.restore({ tables: base.tables, blocks: () => base.blocks() }),
  );
  await check("read of all that was restored", second);
  await second.backend.close();
  console.log(`heap part at most ${megabytes(worstHeapPart)} of ${megabytes(heapBytes)}`);
  if (worstHeapPart > heapBytes) failed = true;
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(failed ? "FAILED" : "passed");
process.exitCode = failed ? 1 : 0;
