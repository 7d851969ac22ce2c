// The part of the RocksDB binding that is used here, typed: its own synchronous calls, which its package does not declare.
import { createRequire } from "node:module";

export interface RocksBatch {
  _put(key: Uint8Array, value: Uint8Array): void;
  _del(key: Uint8Array): void;
  _writeSync(options: object): void;
  _closeSync(): void;
}

export interface RocksIterator {
  /** Keys and values in turn. */
  _nextvSync(count: number, options: object): { readonly rows: readonly Buffer[]; readonly finished: boolean };
  _closeSync(): void;
}

export interface RocksOptions {
  readonly createIfMissing: boolean;
  readonly keyEncoding: "buffer";
  readonly valueEncoding: "buffer";
  readonly compaction: "level" | "universal";
  readonly compression: boolean;
  readonly walCompression: boolean;
  /** A quarter of it is the size of one write buffer. */
  readonly memtableMemoryBudget: number;
  readonly cacheSize: number;
  readonly cacheIndexAndFilterBlocks: boolean;
  readonly parallelism: number;
}

export interface RocksDatabase {
  open(): Promise<void>;
  close(): Promise<void>;
  _chainedBatch(): RocksBatch;
  _getManySync(keys: readonly Uint8Array[], options: object): readonly (Buffer | undefined)[];
  _iterator(options: object): RocksIterator;
  getProperty(name: string): string;
}

interface Binding {
  readonly RocksLevel: new (location: string, options: RocksOptions) => RocksDatabase;
}

/** Makes a database handle; the native library is loaded by the first call, so that other backends do without it. */
export function rocksDatabase(location: string, options: RocksOptions): RocksDatabase {
  const { RocksLevel } = createRequire(import.meta.url)("@nxtedition/rocksdb") as Binding;
  return new RocksLevel(location, options);
}
