// What DataFrame programs import: sessions, DataFrames, column functions, and running queries.
export { isMillraceError, MillraceError } from "./base/errors.ts";
export { state } from "./core/handles/declarations.ts";
export { AggregateColumn, Column, type ColumnsOf, WindowColumn } from "./dataframe/expression/column.ts";
export {
  approxCountDistinct,
  avg,
  call,
  type Cases,
  coalesce,
  col,
  collectList,
  collectSet,
  count,
  countDistinct,
  expr,
  first,
  last,
  lit,
  max,
  maxBy,
  min,
  minBy,
  percentile,
  sessionWindow,
  sum,
  udf,
  when,
  window,
} from "./dataframe/expression/functions.ts";
export { postgresSink, type PostgresSinkOptions } from "./connectors/postgres/index.ts";
export { DataFrame, type Ordering, type TriggerOptions, type WriteStreamOptions } from "./dataframe/data-frame.ts";
export { type FrameContext, type FrameJob, frames } from "./dataframe/frame-job.ts";
export type { GroupedData, PivotedData } from "./dataframe/grouped-data.ts";
export type { BatchQuery, BatchRows, BatchSink, BatchSinkWriter, FrameSink, StreamQuery } from "./dataframe/query.ts";
export { type FormattedFrameSource, type ReadOptions, type RowFrameSource, Session } from "./dataframe/session.ts";
export { type BatchProgress, type BatchQueryOptions, type BatchResult, runBatchQuery } from "./drivers/microbatch/batch-query.ts";
export type { KernelOptions } from "./drivers/microbatch/kernel/kernel.ts";
export type { QueryProgress, SourceProgress, StateOperatorProgress } from "./drivers/microbatch/progress.ts";
export type { QueryOptions } from "./drivers/microbatch/query-options.ts";
export type { QueryState, StopMode } from "./drivers/microbatch/query-state.ts";
export { StreamingQuery } from "./drivers/microbatch/streaming-query.ts";
