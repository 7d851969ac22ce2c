// The state backend that a configuration asks for; RocksDB is loaded only when it is used.
import type { StateBackendFactory } from "../../core/ports/state-backend.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import type { RunConfig } from "./run-config.ts";

export async function openStateBackend(config: Pick<RunConfig, "backend" | "memoryBudgetBytes">): Promise<StateBackendFactory> {
  if (config.backend === "memory") return memoryBackend();
  const { rocksdbBackend } = await import("../../state/rocksdb/rocksdb-backend.ts");
  return rocksdbBackend({ heapBytes: config.memoryBudgetBytes });
}
