// What a job imports: the DSL, schemas, windows, aggregates, formats and connectors.
export { isMillraceError, MillraceError } from "./base/errors.ts";
export type * from "./connectors/console/index.ts";
export { blackhole, consoleSink } from "./connectors/console/index.ts";
export type * from "./connectors/files/index.ts";
export { files, filesSink } from "./connectors/files/index.ts";
export type { Compression as KafkaCompression } from "./connectors/kafka/index.ts";
export type {
  Isolation,
  KafkaConnectionOptions,
  KafkaSinkOptions,
  KafkaSourceEndpoint,
  KafkaSourceOptions,
  KafkaTls,
  OutOfRangePolicy,
  SaslCredentials,
  SaslMechanism,
  StartFrom,
  UnknownCommitPolicy,
} from "./connectors/kafka/index.ts";
export { kafkaSink, kafkaSource } from "./connectors/kafka/index.ts";
export { values, type ValuesOptions } from "./connectors/memory/index.ts";
export { nexmark, type NexmarkOptions } from "./connectors/nexmark/index.ts";
export { state } from "./core/handles/declarations.ts";
export { Decimal } from "./core/schema/decimal.ts";
export {
  any,
  type AnyField,
  boolean,
  bytes,
  date,
  decimal,
  enumeration,
  type Field,
  type Fields,
  float32,
  float64,
  int8,
  int16,
  int32,
  int53,
  int64,
  list,
  mapOf,
  type RowOf,
  string,
  struct,
  timestamp,
  timestampNanos,
} from "./core/schema/field.ts";
export { type RowType, type Schema, schema } from "./core/schema/schema.ts";
export {
  boundedOutOfOrderness,
  customWatermarks,
  monotonic,
  noWatermarks,
  type WatermarkGenerator,
  type WatermarkOptions,
  type WatermarkStrategy,
} from "./core/time/watermark-strategy.ts";
export { cogroup, type CogroupedRow } from "./dsl/cogroup.ts";
export type { SinkEndpoint, SourceEndpoint } from "./dsl/endpoints.ts";
export type { Flow, SourceOptions } from "./dsl/flow.ts";
export type { GlobalJoinOptions, GlobalTable, GlobalTableOptions } from "./dsl/global-table.ts";
export { type Job, job } from "./dsl/job.ts";
export type { KeyedStream } from "./dsl/keyed-stream.ts";
export type { Stream } from "./dsl/stream.ts";
export type { WindowedStream, WindowOptions } from "./dsl/windowed-stream.ts";
export { countWindow, cumulate, type Duration, globalWindow, session, sliding, tumbling } from "./dsl/windows.ts";
export {
  avg,
  collect,
  collectSet,
  count,
  countDistinct,
  countDistinctApprox,
  custom,
  type CustomAggregate,
  first,
  last,
  max,
  maxBy,
  min,
  minBy,
  type OrNull,
  orNull,
  percentile,
  stringAgg,
  sum,
} from "./operators/aggregate/call.ts";
export * from "./serde/index.ts";
