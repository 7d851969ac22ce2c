// Keyed state on the heap alone.
import type { KeyedStateBackend, StateBackendFactory } from "../../core/ports/state-backend.ts";
import { TableSet } from "../table-set.ts";

/** State in memory: fast, and as large as the heap allows. */
export function memoryBackend(): StateBackendFactory {
  return {
    name: "memory",
    open(options): Promise<KeyedStateBackend> {
      const tables = new TableSet(options);
      return Promise.resolve({
        state: tables,
        restore: (stored) => tables.restore(stored),
        capture: () => tables.capture(),
        startBase: () => tables.startBase(),
        onWatermark: (timeMs) => tables.onWatermark(timeMs),
        sizeBytes: () => ({ ...tables.sizeBytes(), disk: 0 }),
        close: () => Promise.resolve(),
      });
    },
  };
}
