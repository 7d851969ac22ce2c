// What tests of jobs import: a whole job under a test's control, and sources and sinks in memory.
export { ManualClock } from "../base/clock.ts";
export type { MemorySinkOptions, MemorySourceOptions, PushOptions } from "../connectors/memory/index.ts";
export { type MemorySink, memorySink, type MemorySource, memoryRecords, memorySource } from "../connectors/memory/index.ts";
export { JobHarness, testJob, type TestJobOptions, type TestOutput } from "./job-harness.ts";
