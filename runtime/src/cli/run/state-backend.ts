// The state backend that a configuration asks for; RocksDB is loaded only when it is used.
import type { StateBackendFactory } from "../../core/ports/state-backend.ts";
import { parallelismOf } from "../../drivers/task/placement.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import type { RunConfig } from "./run-config.ts";

/** Of an instance's cache, and of its write buffers. */
const leastDatabaseBytes = 2 * 1024 * 1024;
const mostDatabaseBytes = 256 * 1024 * 1024;

/** Rejects with DEPENDENCY_MISSING. `instances` is how many will be opened: they share what RocksDB may take in `databaseBytes`. */
export async function openStateBackend(
  config: Pick<RunConfig, "backend" | "memoryBudgetBytes"> & Partial<Pick<RunConfig, "databaseBytes">>,
  instances = 1,
): Promise<StateBackendFactory> {
  if (config.backend === "memory") return memoryBackend();
  const { rocksdbBackend } = await import("../../state/rocksdb/rocksdb-backend.ts");
  // Now, rather than when the first instance opens: what is not installed is told before anything has started.
  const { loadRocksDb } = await import("../../state/rocksdb/rocks-binding.ts");
  loadRocksDb();
  if (config.databaseBytes === undefined) return rocksdbBackend({ heapBytes: config.memoryBudgetBytes });
  const bytes = Math.min(mostDatabaseBytes, Math.max(leastDatabaseBytes, Math.floor(config.databaseBytes / Math.max(1, instances) / 2)));
  return rocksdbBackend({ heapBytes: config.memoryBudgetBytes, blockCacheBytes: bytes, writeBufferBytes: bytes });
}

/** How many instances with state per key a dataflow has: they share what is in memory. */
export function keyedInstances(dataflow: Dataflow, config: RunConfig): number {
  const keyed = dataflow.nodes.filter(({ body }) => body.kind === "operator" && body.keyed);
  return keyed.reduce((sum, node) => sum + parallelismOf(node, config), 0);
}
