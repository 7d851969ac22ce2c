// The RocksDB backend keeps the contract of state backends, also where next to nothing fits the heap.
import { stateBackendSuite } from "../state-backend.suite.ts";
import { rocksdbBackend } from "./rocksdb-backend.ts";

stateBackendSuite({ factory: rocksdbBackend({ heapBytes: 2000, blockCacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 }), runs: 25 });
