// What a service imports to run a job inside of itself.
export type { Log, LogFields } from "./base/log.ts";
export type { StateBackendFactory } from "./core/ports/state-backend.ts";
export type { EmbeddedApp } from "./drivers/embedded/app.ts";
export type { EmbeddedHealth, EmbeddedState, StateListener } from "./drivers/embedded/app-state.ts";
export type { AppQueries, Positions, QueryAnswer, QueryRequest, StoreView } from "./drivers/embedded/queries/app-queries.ts";
export { type KeyedValue, QueryClient, type QueryClientOptions, type StoreClient } from "./drivers/embedded/queries/query-client.ts";
export type { StoreQuery, StoreRow, StoreRows } from "./drivers/embedded/queries/store-query.ts";
export type { AppSavepointMode } from "./drivers/embedded/control/control-state.ts";
export type { SavepointResult } from "./checkpoint/savepoint/savepoint-result.ts";
export type { EmbeddedConfig, FailureResponse, HttpConfig } from "./drivers/embedded/config.ts";
export { embedded } from "./drivers/embedded/embedded.ts";
export { environmentConfig } from "./drivers/embedded/environment.ts";
export type { AppView, TaskView } from "./drivers/embedded/rest/app-view.ts";
export type { TaskStatus } from "./drivers/embedded/task-set.ts";
export { memoryBackend } from "./state/memory/memory-backend.ts";
