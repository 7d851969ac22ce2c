// The memory backend keeps the contract of state backends.
import { stateBackendSuite } from "../state-backend.suite.ts";
import { memoryBackend } from "./memory-backend.ts";

stateBackendSuite({ factory: memoryBackend(), runs: 200 });
