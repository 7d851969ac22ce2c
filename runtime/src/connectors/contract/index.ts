// The published connector contract: checks that any source or sink can run against itself.
export { type SinkFixture, sinkContract, type SinkRow, sinkSuiteSchema, type SinkWorld } from "./sink.suite.ts";
export { sourceContract, type SourceFixture, type SourceWorld } from "./source.suite.ts";
export type { RegisterTest } from "./suite.ts";
