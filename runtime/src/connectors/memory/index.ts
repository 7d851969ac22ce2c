// Connectors in memory: rows from the program, sources and sinks that a test controls.
export {
  memoryRecords,
  memorySource,
  MemoryRecordSource,
  MemorySource,
  type MemorySourceOptions,
  type PushOptions,
} from "./memory-source.ts";
export { memorySink, MemorySink, type MemorySinkOptions, type WrittenRow } from "./memory-sink.ts";
export type { MemoryRecord } from "./record-blocks.ts";
export { values, type ValuesOptions } from "./values.ts";
