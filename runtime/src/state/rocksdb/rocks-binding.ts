// The RocksDB binding as it is used here: its own synchronous calls, which its package does not declare, under plain names.
/* oxlint-disable no-underscore-dangle -- the binding's names */
import { createRequire } from "node:module";
import { MillraceError, messageOf } from "../../base/errors.ts";

interface NativeBatch {
  _put(key: Uint8Array, value: Uint8Array): void;
  _del(key: Uint8Array): void;
  _writeSync(options: object): void;
  _clear(): void;
  _closeSync(): void;
}

interface NativeIterator {
  /** Keys and values in turn; here the keys are left out. */
  _nextvSync(count: number, options: object): { readonly rows: readonly Buffer[]; readonly finished: boolean };
  _closeSync(): void;
}

interface NativeDatabase {
  open(): Promise<void>;
  close(): Promise<void>;
  _chainedBatch(): NativeBatch;
  _getManySync(keys: readonly Uint8Array[], options: object): readonly (Buffer | undefined)[];
  _iterator(options: object): NativeIterator;
  /** Its own list of what was made from it; closing something synchronously does not take it off. */
  detachResource(resource: object): void;
  getProperty(name: string): string;
}

export interface RocksOptions {
  /** A quarter of it is the size of one write buffer. */
  readonly memtableMemoryBudget: number;
  readonly cacheSize: number;
}

const buffers = { keyEncoding: "buffer", valueEncoding: "buffer" } as const;

const fixedOptions = {
  ...buffers,
  createIfMissing: true,
  // Least write amplification: what is evicted is often changed again.
  compaction: "universal",
  compression: false,
  walCompression: false,
  // Index and filter blocks count as cache, so that the memory does not grow with the state.
  cacheIndexAndFilterBlocks: true,
  // A hash index in each block and Ribbon filters: a read of one key costs nearly half, and filters take a third less.
  optimize: "point-lookup",
  // Four times the default: a quarter of the index, which competes for the cache with everything else.
  blockSize: 16_384,
  parallelism: 1,
} as const;

interface RocksPackage {
  readonly RocksLevel: new (location: string, options: object) => NativeDatabase;
}

/** The native library, which is large and is not installed along with this package. `require` is another way to load it. */
export function loadRocksDb(require: (name: string) => unknown = createRequire(import.meta.url)): RocksPackage {
  try {
    return require("@nxtedition/rocksdb") as RocksPackage;
  } catch (cause) {
    throw new MillraceError(
      "DEPENDENCY_MISSING",
      "state in RocksDB",
      `the package @nxtedition/rocksdb cannot be loaded: ${messageOf(cause).split("\n", 1)[0]}`,
      "run npm install @nxtedition/rocksdb@12.2, or keep the state in memory",
      { cause },
    );
  }
}

/** Values in order of their keys, as they were when the iterator was made. */
export interface RocksIterator {
  next(count: number): { readonly values: readonly Buffer[]; readonly finished: boolean };
  close(): void;
}

export class RocksDatabase {
  readonly #native: NativeDatabase;
  #batch: NativeBatch | null = null;
  /** How many operations wait to be written. */
  pending = 0;

  /** The native library is loaded by the first of these, so that other backends do without it. Throws DEPENDENCY_MISSING. */
  constructor(location: string, options: RocksOptions) {
    const { RocksLevel } = loadRocksDb();
    this.#native = new RocksLevel(location, { ...fixedOptions, ...options });
  }

  open(): Promise<void> {
    return this.#native.open();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#waiting()._put(key, value);
  }

  delete(key: Uint8Array): void {
    this.#waiting()._del(key);
  }

  #waiting(): NativeBatch {
    this.pending++;
    this.#batch ??= this.#native._chainedBatch();
    return this.#batch;
  }

  /** Writes what waits. The binding always writes its log ahead too, but never waits for the disk. */
  write(): void {
    const batch = this.#batch;
    if (batch === null || this.pending === 0) return;
    this.pending = 0;
    batch._writeSync({});
    // One batch for all writes: a closed one keeps its memory until the collector finds its small handle, which may be never.
    batch._clear();
  }

  /** Forgets what waits: a write failed, and what it was to write is not there. */
  discard(): void {
    this.pending = 0;
    this.#batch?._clear();
  }

  getMany(keys: readonly Uint8Array[]): readonly (Buffer | undefined)[] {
    return this.#native._getManySync(keys, buffers);
  }

  /** Keys from `from` on, before `before`. */
  iterate(from: Uint8Array, before: Uint8Array | undefined): RocksIterator {
    const range = before === undefined ? { gte: from } : { gte: from, lt: before };
    const native = this.#native._iterator({ ...buffers, ...range, keys: false, values: true, highWaterMarkBytes: 1 << 18 });
    return {
      next(count) {
        const { rows, finished } = native._nextvSync(count, {});
        return { values: rows.filter((_row, i) => i % 2 === 1), finished };
      },
      close: () => {
        native._closeSync();
        this.#native.detachResource(native);
      },
    };
  }

  get tableBytes(): number {
    const size = Number(this.#native.getProperty("rocksdb.total-sst-files-size"));
    return Number.isFinite(size) ? size : 0;
  }

  async close(): Promise<void> {
    this.#batch?._closeSync();
    this.#batch = null;
    await this.#native.close();
  }
}
