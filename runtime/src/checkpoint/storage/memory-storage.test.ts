// Memory storage: the contract.
import { MemoryStorage } from "./memory-storage.ts";
import { snapshotStorageSuite } from "./storage.suite.ts";

snapshotStorageSuite("memory", { open: () => Promise.resolve(new MemoryStorage()), openOptions: undefined, bigBytes: 300_000 });
