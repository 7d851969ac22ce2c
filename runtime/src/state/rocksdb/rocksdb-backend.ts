// Keyed state larger than memory: a bounded part on the heap over a RocksDB of the instance's own.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMillraceError, MillraceError, messageOf } from "../../base/errors.ts";
import type { KeyedStateBackend, KeyedStateBackendOptions, StateBackendFactory } from "../../core/ports/state-backend.ts";
import { HeapBudget } from "../spill/heap-budget.ts";
import { TableSet } from "../table-set.ts";
import { RocksDatabase } from "./rocks-binding.ts";
import { RocksStore } from "./rocks-store.ts";

export interface RocksdbOptions {
  /** What the heap parts of all instances of this factory may take together, in bytes. Default 256 MiB. */
  readonly heapBytes?: number;
  /** Each instance's cache of RocksDB blocks, in bytes. Default 32 MiB. */
  readonly blockCacheBytes?: number;
  /** Each instance's write buffers, in bytes. Default 32 MiB. */
  readonly writeBufferBytes?: number;
}

const defaultHeapBytes = 256 * 2 ** 20;
const defaultNativeBytes = 32 * 2 ** 20;
/** How much of a capture stays in memory until it is uploaded: more would not make the upload faster. */
const maxCapturedBytes = 4 * 2 ** 20;
/** Less is not worth a file. */
const leastCapturedBytes = 64 * 2 ** 10;

/**
 * State over RocksDB. The database holds what has been evicted from the heap; it is scratch space, not a durable copy: checkpoints
 * are that. A folder that a crash left behind is safe to delete, and is emptied when an instance opens it.
 * Tests give less for `minCapturedBytes`, so that their small captures go to files too.
 */
export function rocksdbBackend(options: RocksdbOptions = {}, minCapturedBytes: number = leastCapturedBytes): StateBackendFactory {
  const budget = new HeapBudget(options.heapBytes ?? defaultHeapBytes);
  return { name: "rocksdb", open: (instance) => open(instance, options, budget, minCapturedBytes) };
}

async function open(
  instance: KeyedStateBackendOptions,
  options: RocksdbOptions,
  budget: HeapBudget,
  minCapturedBytes: number,
): Promise<KeyedStateBackend> {
  const { directory } = instance;
  const store = await openStore(directory, options);
  const { keyGroups, maxParallelism } = instance;
  const tables = new TableSet({
    ...instance,
    spill: (table) => ({ store, table, budget, keyGroups, maxParallelism }),
    scratch: () => store.scratch(Math.max(minCapturedBytes, Math.min(maxCapturedBytes, budget.totalBytes / 16))),
  });
  let closed = false;
  return {
    state: tables,
    restore: (stored) => tables.restore(stored),
    capture: () => tables.capture(),
    startBase: () => tables.startBase(),
    onWatermark: (timeMs) => tables.onWatermark(timeMs),
    sizeBytes: () => ({ ...tables.sizeBytes(), disk: closed ? 0 : store.diskBytes }),
    async close() {
      if (closed) return;
      closed = true;
      tables.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function openStore(directory: string, options: RocksdbOptions): Promise<RocksStore> {
  try {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    const database = new RocksDatabase(join(directory, "rocksdb"), {
      memtableMemoryBudget: options.writeBufferBytes ?? defaultNativeBytes,
      cacheSize: options.blockCacheBytes ?? defaultNativeBytes,
    });
    await database.open();
    return new RocksStore(database, directory);
  } catch (error) {
    if (isMillraceError(error, "DEPENDENCY_MISSING")) throw error;
    throw new MillraceError(
      "STATE_STORE_FAILED",
      `the state store in ${directory}`,
      `it could not be opened: ${messageOf(error)}`,
      "give the job a folder that it may write to, on a local disk",
      { cause: error },
    );
  }
}
