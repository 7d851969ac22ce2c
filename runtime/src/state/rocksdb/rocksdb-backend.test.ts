// The RocksDB backend keeps the contract of state backends, also where next to nothing fits the heap.
import { describe } from "vitest";
import { stateBackendSuite } from "../state-backend.suite.ts";
import { rocksdbBackend } from "./rocksdb-backend.ts";

describe.each([
  { fits: "nothing", heapBytes: 2000 },
  { fits: "some entries", heapBytes: 9000 },
])("with a heap budget in which $fits fits", ({ heapBytes }) => {
  stateBackendSuite({ factory: rocksdbBackend({ heapBytes, blockCacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 }), runs: 10 });
});
