// The spill store over RocksDB: writes are gathered in a batch, reads come after it is written.
import { join } from "node:path";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { ChangeOverflow, SpillScan, SpillStore } from "../spill/spill-store.ts";
import { OverflowFile } from "./overflow-file.ts";
import type { RocksBatch, RocksDatabase, RocksIterator } from "./rocks-binding.ts";

const batchOperations = 1024;
const scanRows = 4096;
const buffers = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;

export class RocksStore implements SpillStore {
  readonly #database: RocksDatabase;
  readonly #directory: string;
  readonly #scans = new Set<RocksIterator>();
  readonly #overflows: OverflowFile[] = [];
  #batch: RocksBatch | null = null;
  #operations = 0;

  constructor(database: RocksDatabase, directory: string) {
    this.#database = database;
    this.#directory = directory;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#pending()._put(key, value);
    if (++this.#operations >= batchOperations) this.#write();
  }

  delete(key: Uint8Array): void {
    this.#pending()._del(key);
    if (++this.#operations >= batchOperations) this.#write();
  }

  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
    this.#write();
    return this.#checked("read", () => this.#database._getManySync(keys, buffers));
  }

  scan(prefix: Uint8Array): SpillScan {
    this.#write();
    const limit = afterPrefix(prefix);
    const iterator = this.#checked("read", () =>
      this.#database._iterator({
        ...buffers,
        gte: prefix,
        ...(limit === undefined ? {} : { lt: limit }),
        keys: true,
        values: true,
        highWaterMarkBytes: 1 << 18,
      }),
    );
    this.#scans.add(iterator);
    let finished = false;
    const close = (): void => {
      if (this.#scans.delete(iterator)) iterator._closeSync();
    };
    return {
      next: (maxBytes) => {
        const values: Uint8Array[] = [];
        for (let bytes = 0; bytes < maxBytes && !finished && this.#scans.has(iterator); ) {
          // Rows are asked for in numbers, not bytes: about as many as will fit, by those so far.
          const wanted = values.length === 0 ? 64 : Math.ceil((maxBytes - bytes) / (bytes / values.length));
          const read = this.#checked("read", () => iterator._nextvSync(Math.min(scanRows, Math.max(1, wanted)), {}));
          for (let i = 1; i < read.rows.length; i += 2) {
            const value = read.rows[i] as Buffer;
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

  overflow(table: number): ChangeOverflow {
    const made = new OverflowFile(join(this.#directory, `changes-${table}.log`));
    this.#overflows.push(made);
    return made;
  }

  get diskBytes(): number {
    const size = Number(this.#database.getProperty("rocksdb.total-sst-files-size"));
    return (Number.isFinite(size) ? size : 0) + this.#overflows.reduce((sum, overflow) => sum + overflow.sizeBytes, 0);
  }

  async close(): Promise<void> {
    this.#batch?._closeSync();
    this.#batch = null;
    for (const iterator of this.#scans) iterator._closeSync();
    this.#scans.clear();
    for (const overflow of this.#overflows) overflow.close();
    await this.#database.close();
  }

  #pending(): RocksBatch {
    this.#batch ??= this.#database._chainedBatch();
    return this.#batch;
  }

  #write(): void {
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    this.#operations = 0;
    this.#checked("written", () => batch._writeSync({}));
    batch._closeSync();
  }

  #checked<T>(verb: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw new MillraceError(
        "STATE_STORE_FAILED",
        `the state store in ${this.#directory}`,
        `it could not be ${verb}: ${messageOf(error)}`,
        "see that the disk has room and is writable; the job restarts from its last checkpoint",
        { cause: error },
      );
    }
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
