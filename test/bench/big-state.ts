// State larger than memory: fills the RocksDB backend with keys under a small heap budget, checks sums, captures and restores.
import { open as openFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../runtime/src/base/clock.ts";
import { Batch, Rows } from "../../runtime/src/core/batch/batch.ts";
import { KeyReader } from "../../runtime/src/core/keys/key-batch.ts";
import { keyLayout } from "../../runtime/src/core/keys/key-layout.ts";
import type { KeyedStateBackend, StateBlock, StoredTableSpec } from "../../runtime/src/core/ports/state-backend.ts";
import type { KeyedTable } from "../../runtime/src/core/ports/state.ts";
import { int53, string } from "../../runtime/src/core/schema/field.ts";
import { schema } from "../../runtime/src/core/schema/schema.ts";
import { rocksdbBackend } from "../../runtime/src/state/rocksdb/rocksdb-backend.ts";

export interface BigStateOptions {
  /** Size of the state as a user counts it: per entry an 8-byte key, a count, a sum and a text. */
  readonly stateBytes: number;
  readonly heapBytes: number;
  /** Length of each entry's text. */
  readonly valueBytes: number;
  /** Where the stores and the captured blocks lie; needs about four times `stateBytes`. */
  readonly directory: string;
}

const batchRows = 2048;
// A capture is handed over in memory, so its size is what a job's interval would make it.
const captureBytes = 128e6;
const progressMs = 15_000;
const keySchema = schema({ id: int53() });
const layout = keyLayout(keySchema, ["id"]);
const valueSchema = schema({ count: int53(), sum: int53(), note: string() });

/** Spreads 0, 1, 2, ... over the integers without collisions, so that neighbours in time are not neighbours in the store. */
const keyOf = (i: number): number => (Math.imul(i, 0x9e3779b1) >>> 0) * 4 + (i % 4);
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** Says how far a step has come, so that one that takes minutes is not taken for one that hangs. */
class Progress {
  readonly #of: number;
  readonly #startedMs: number = performance.now();
  #saidMs: number = performance.now();
  #done = 0;

  constructor(of: number) {
    this.#of = of;
  }

  add(entries: number): void {
    this.#done += entries;
    const nowMs = performance.now();
    if (nowMs - this.#saidMs < progressMs) return;
    this.#saidMs = nowMs;
    console.log(`    ${((100 * this.#done) / this.#of).toFixed(0)} % after ${((nowMs - this.#startedMs) / 1000).toFixed(0)} s`);
  }
}

interface Opened {
  readonly backend: KeyedStateBackend;
  readonly table: KeyedTable;
}

const entriesOf = (blocks: readonly StateBlock[]): number => blocks.reduce((sum, { entryCount }) => sum + entryCount, 0);

/** Captured blocks in one file, in order. */
class BlockFile {
  readonly path: string;
  readonly index: { readonly block: Omit<StateBlock, "bytes">; readonly at: number; readonly size: number }[] = [];
  bytes = 0;
  tables: readonly StoredTableSpec[] = [];

  constructor(path: string) {
    this.path = path;
  }

  async append(blocks: readonly StateBlock[]): Promise<void> {
    const file = await openFile(this.path, "a");
    for (const { table, keyGroup, entryCount, bytes } of blocks) {
      await file.write(bytes);
      this.index.push({ block: { table, keyGroup, entryCount }, at: this.bytes, size: bytes.length });
      this.bytes += bytes.length;
    }
    await file.close();
  }

  async capture(backend: KeyedStateBackend): Promise<void> {
    const { tables, blocks, release } = backend.capture();
    this.tables = tables;
    await this.append(blocks);
    release?.();
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

class BigState {
  readonly #heapBytes: number;
  readonly #keyCount: number;
  readonly #captureEvery: number;
  readonly #padding: string;
  readonly #folder: string;
  readonly #factory: ReturnType<typeof rocksdbBackend>;
  readonly #rows = new Rows(keySchema, batchRows);
  readonly #reader = new KeyReader(layout);
  readonly #slots = new Int32Array(batchRows);
  #greatestHeapPart = 0;
  #progress = new Progress(0);
  #failed = false;

  constructor(options: BigStateOptions, folder: string) {
    const entryBytes = 24 + options.valueBytes;
    this.#heapBytes = options.heapBytes;
    this.#keyCount = Math.floor(options.stateBytes / entryBytes);
    this.#captureEvery = Math.ceil(captureBytes / entryBytes);
    this.#padding = "x".repeat(Math.max(0, options.valueBytes - 12));
    this.#folder = folder;
    this.#factory = rocksdbBackend({ heapBytes: options.heapBytes });
    this.#rows.ready.fill(1);
    console.log(`${this.#keyCount} keys of about ${entryBytes} bytes under a heap budget of ${megabytes(options.heapBytes)}`);
  }

  async run(): Promise<boolean> {
    const keyCount = this.#keyCount;
    const first = await this.#open("first");
    const stored = new BlockFile(join(this.#folder, "blocks"));
    await this.#step("fill, with a capture every 128 MB of changes", keyCount, first, () => this.#update(first, 1, stored));
    await this.#step("capture of the rest", keyCount % this.#captureEvery, first, () => stored.capture(first.backend));
    console.log(`  captured ${megabytes(stored.bytes)}`);
    for (const percent of [1, 10, 100]) {
      const every = 100 / percent;
      const before = stored.bytes;
      const changed = Math.ceil(keyCount / every);
      await this.#step(`update of ${percent} % of the keys, captured`, changed, first, async () => {
        await this.#update(first, every, stored);
        await stored.capture(first.backend);
      });
      console.log(`  ${megabytes(stored.bytes - before)} for ${percent} % of the keys`);
    }
    await this.#check("read of all", first);
    const base = new BlockFile(join(this.#folder, "base"));
    await this.#step("base scan", keyCount, first, async () => {
      const scan = first.backend.startBase();
      for (let blocks = scan.next(1 << 20); blocks !== null; blocks = scan.next(1 << 20)) {
        await base.append(blocks);
        this.#progress.add(entriesOf(blocks));
      }
    });
    console.log(`  base of ${megabytes(base.bytes)}`);
    await base.capture(first.backend);
    await first.backend.close();
    const second = await this.#open("second");
    await this.#step("restore of the base", keyCount, second, () =>
      second.backend.restore({ tables: base.tables, blocks: () => this.#counted(base.blocks()) }),
    );
    await this.#check("read of all that was restored", second);
    await second.backend.close();
    console.log(`heap part at most ${megabytes(this.#greatestHeapPart)} of ${megabytes(this.#heapBytes)}`);
    return !this.#failed && this.#greatestHeapPart <= this.#heapBytes;
  }

  async #open(name: string): Promise<Opened> {
    const keyGroups = { from: 0, to: 128 };
    const directory = join(this.#folder, name);
    const backend = await this.#factory.open({ uid: "big", keyGroups, maxParallelism: 128, clock: systemClock, directory });
    return { backend, table: backend.state.table({ name: "t", key: layout, value: valueSchema }) };
  }

  async #step(name: string, entries: number, { backend }: Opened, run: () => Promise<void>): Promise<void> {
    console.log(name);
    this.#progress = new Progress(entries);
    const started = performance.now();
    const before = process.cpuUsage();
    await run();
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(before);
    const cpuSeconds = (user + system) / 1e6;
    const { memory, disk } = this.#look(backend);
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    // What no collector of V8 knows: RocksDB, buffers of the binding, and what malloc keeps after it was freed.
    const nativeBytes = rss - heapTotal - external;
    const peakBytes = process.resourceUsage().maxRSS * 1024;
    const rates = `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s CPU, ${(entries / cpuSeconds / 1000).toFixed(0)} k entries per CPU-second`;
    const sizes = `heap part ${megabytes(memory)}, V8 heap ${megabytes(heapUsed)}, external ${megabytes(external)}, native ${megabytes(nativeBytes)}, RSS ${megabytes(rss)} (peak ${megabytes(peakBytes)}), disk ${megabytes(disk)}`;
    console.log(`  ${rates}; ${sizes}`);
  }

  async *#counted(blocks: AsyncIterable<StateBlock>): AsyncGenerator<StateBlock> {
    for await (const block of blocks) {
      yield block;
      this.#progress.add(block.entryCount);
    }
  }

  #look(backend: KeyedStateBackend): ReturnType<KeyedStateBackend["sizeBytes"]> {
    const size = backend.sizeBytes();
    this.#greatestHeapPart = Math.max(this.#greatestHeapPart, size.memory);
    return size;
  }

  /** Adds 1 to the count and the key's last digits to the sum of every `every`-th key, and gives new ones a text of their own. */
  async #update({ backend, table }: Opened, every: number, captureTo: BlockFile): Promise<void> {
    const [counts, sums, notes] = table.columns;
    if (counts === undefined || sums === undefined || notes === undefined) throw new Error("the table lacks columns");
    const ids = (this.#rows.columns[0] as { numbers: Float64Array }).numbers;
    const slots = this.#slots;
    let sinceCapture = 0;
    for (let i = 0, batch = 0; i < this.#keyCount; batch++) {
      let count = 0;
      for (; count < batchRows && i < this.#keyCount; i += every) ids[count++] = keyOf(i);
      this.#rows.size = count;
      table.findAll(this.#reader.read(new Batch(this.#rows)), null, slots, true);
      for (let k = 0; k < count; k++) {
        const slot = slots[k] as number;
        const id = ids[k] as number;
        counts.numbers[slot] = (counts.numbers[slot] as number) + 1;
        sums.numbers[slot] = (sums.numbers[slot] as number) + (id % 1000);
        if (counts.numbers[slot] === 1) notes.setText(slot, `${id}${this.#padding}`);
      }
      table.touchAll(slots, count);
      this.#progress.add(count);
      sinceCapture += count;
      if (batch % 64 === 0) this.#look(backend);
      if (sinceCapture < this.#captureEvery) continue;
      await captureTo.capture(backend);
      sinceCapture = 0;
    }
  }

  async #check(name: string, opened: Opened): Promise<void> {
    const keyCount = this.#keyCount;
    const wanted = { entries: keyCount, count: 0, sum: 0, wrongTexts: 0 };
    for (let i = 0; i < keyCount; i++) {
      const times = 2 + (i % 100 === 0 ? 1 : 0) + (i % 10 === 0 ? 1 : 0);
      wanted.count += times;
      wanted.sum += times * (keyOf(i) % 1000);
    }
    let found = { entries: 0, count: 0, sum: 0, wrongTexts: 0 };
    await this.#step(name, keyCount, opened, () => {
      found = this.#totals(opened.table);
      return Promise.resolve();
    });
    const right = JSON.stringify(found) === JSON.stringify(wanted);
    console.log(right ? `  ok: ${JSON.stringify(found)}` : `  WRONG: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
    if (!right) this.#failed = true;
  }

  #totals(table: KeyedTable): { entries: number; count: number; sum: number; wrongTexts: number } {
    const total = { entries: 0, count: 0, sum: 0, wrongTexts: 0 };
    const key = new Rows(keySchema, 1);
    key.ready.fill(1);
    const [counts, sums, notes] = table.columns;
    table.visitAll((slots, count) => {
      this.#progress.add(count);
      for (let k = 0; k < count; k++) {
        const slot = slots[k] as number;
        table.copyKey(slot, key, 0, [0]);
        total.entries++;
        total.count += counts?.numbers[slot] as number;
        total.sum += sums?.numbers[slot] as number;
        if (notes?.getText(slot) !== `${key.columns[0]?.numbers[0]}${this.#padding}`) total.wrongTexts++;
      }
    });
    return total;
  }
}

/** Prints each step's time, rate, memory and disk. False when a sum is wrong, or the heap part was larger than its budget. */
export async function bigStateSuite(options: BigStateOptions): Promise<boolean> {
  const folder = await mkdtemp(join(options.directory, "millrace-big-state-"));
  try {
    return await new BigState(options, folder).run();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
