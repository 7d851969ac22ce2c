// The spill store over RocksDB: writes are gathered in a batch, reads come after it is written.
import { join } from "node:path";
import type { CaptureScratch, ChangeOverflow, SpillScan, SpillStore } from "../spill/spill-store.ts";
import { OverflowFile } from "./overflow-file.ts";
import type { RocksDatabase, RocksIterator } from "./rocks-binding.ts";
import { ScratchFile } from "./scratch-file.ts";
import { StoreChecks } from "./store-checks.ts";

const batchOperations = 1024;
const scanRows = 4096;

export class RocksStore implements SpillStore {
  readonly #database: RocksDatabase;
  readonly #directory: string;
  readonly #checks: StoreChecks;
  readonly #scans = new Set<RocksIterator>();
  readonly #overflows: OverflowFile[] = [];
  readonly #scratch = new Set<ScratchFile>();
  #captures = 0;

  constructor(database: RocksDatabase, directory: string) {
    this.#database = database;
    this.#directory = directory;
    this.#checks = new StoreChecks(directory);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#database.put(key, value);
    if (this.#database.pending >= batchOperations) this.#write();
  }

  delete(key: Uint8Array): void {
    this.#database.delete(key);
    if (this.#database.pending >= batchOperations) this.#write();
  }

  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
    this.#write();
    return this.#checks.now("read", () => this.#database.getMany(keys));
  }

  scan(prefix: Uint8Array): SpillScan {
    this.#write();
    const iterator = this.#checks.now("read", () => this.#database.iterate(prefix, afterPrefix(prefix)));
    this.#scans.add(iterator);
    let finished = false;
    const close = (): void => {
      if (this.#scans.delete(iterator)) iterator.close();
    };
    return {
      next: (maxBytes) => {
        const values: Uint8Array[] = [];
        for (let bytes = 0; bytes < maxBytes && !finished && this.#scans.has(iterator); ) {
          // Rows are asked for in numbers, not bytes: about as many as will fit, by those so far.
          const wanted = values.length === 0 ? 64 : Math.ceil((maxBytes - bytes) / (bytes / values.length));
          const read = this.#checks.now("read", () => iterator.next(Math.min(scanRows, Math.max(1, wanted))));
          for (const value of read.values) {
            values.push(value);
            bytes += value.length;
          }
          finished = read.finished;
        }
        if (finished) close();
        return values;
      },
      close,
    };
  }

  overflow(table: number, afterBytes: number): ChangeOverflow {
    const made = new OverflowFile(join(this.#directory, `changes-${table}.log`), afterBytes, this.#checks);
    this.#overflows.push(made);
    return made;
  }

  scratch(afterBytes: number): CaptureScratch {
    const path = join(this.#directory, `capture-${++this.#captures}.blocks`);
    const made = new ScratchFile(path, afterBytes, this.#checks, (released) => this.#scratch.delete(released));
    this.#scratch.add(made);
    return made;
  }

  get diskBytes(): number {
    return [...this.#overflows, ...this.#scratch].reduce((sum, { sizeBytes }) => sum + sizeBytes, this.#database.tableBytes);
  }

  async close(): Promise<void> {
    for (const iterator of this.#scans) iterator.close();
    this.#scans.clear();
    for (const overflow of this.#overflows) overflow.close();
    for (const scratch of this.#scratch) scratch.release();
    await this.#database.close();
  }

  #write(): void {
    this.#checks.now("written", () => this.#database.write());
  }
}

/** The first key behind all that begin with `prefix`; undefined where there is none. */
function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  const limit = Buffer.from(prefix);
  for (let at = limit.length - 1; at >= 0; at--) {
    if (limit[at] === 0xff) continue;
    limit[at] = (limit[at] as number) + 1;
    return limit.subarray(0, at + 1);
  }
  return undefined;
}
