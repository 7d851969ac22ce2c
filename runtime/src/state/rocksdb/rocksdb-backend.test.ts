// The RocksDB backend keeps the contract of state backends, also where next to nothing fits the heap, and where captures go to files.
import { describe } from "vitest";
import { stateBackendSuite } from "../state-backend.suite.ts";
import { rocksdbBackend } from "./rocksdb-backend.ts";

describe.each([
  { fits: "nothing", heapBytes: 2000, captures: "in memory", minCapturedBytes: undefined },
  // A sixteenth of the budget stays in memory: nearly every capture has more.
  { fits: "some entries", heapBytes: 9000, captures: "on disk", minCapturedBytes: 1 },
])("with a heap budget in which $fits fits, captures $captures", ({ heapBytes, minCapturedBytes }) => {
  const factory = rocksdbBackend({ heapBytes, blockCacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 }, minCapturedBytes);
  stateBackendSuite({ factory, runs: 10 });
});
