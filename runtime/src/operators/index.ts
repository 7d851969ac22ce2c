// All operators but aggregates and windows, as factories: `operator(params)` gives what a driver makes instances with.
//
// Inputs are numbered as the params name them. "Keyed" operators take inputs that are exchanged by their key; state then lives
// with the key. `late` outputs are side outputs by name. Kinds of rows (changelogs): what an operator takes and gives.
//
// | Folder   | Operator          | Keyed | Inputs                    | Takes            | Gives                                     |
// |----------|-------------------|-------|---------------------------|------------------|-------------------------------------------|
// | basic    | map, withColumns  | no    | rows                      | any              | as taken                                  |
// |          | filter, split     | no    | rows                      | any (say which)  | as taken; updates may split               |
// |          | flatMap           | no    | rows                      | append, retract  | as taken; updates as delete and insert    |
// |          | select, union     | no    | rows (union: many)        | any              | as taken                                  |
// |          | rateLimit         | no    | rows                      | any              | as taken                                  |
// |          | throttle          | yes   | rows                      | append, upsert   | as taken                                  |
// | time     | assignTimes       | no    | rows                      | any              | as taken                                  |
// | async    | asyncMap          | no    | rows                      | any              | as taken; holds watermarks                |
// | process  | process, reduce   | yes   | rows                      | any, append      | what the function says; append or changes |
// |          | coProcess         | yes   | left, right               | any              | what the functions say                    |
// |          | broadcastProcess  | maybe | rows, broadcast           | any              | what the functions say                    |
// |          | instanceProcess   | no    | rows                      | any              | what the functions say                    |
// | join     | windowJoin        | yes   | left, right               | append           | append                                    |
// |          | intervalJoin      | yes   | left, right               | append           | append; all but inner hold watermarks     |
// |          | temporalJoin      | yes   | stream, table             | any; by key      | as the stream                             |
// |          | lookupJoin        | yes   | stream, table             | any; by key      | as the stream                             |
// |          | wholeTableJoin    | no    | stream, by a driver's table | any            | as the stream                             |
// |          | wholeTable        | yes   | rows                      | any; by key      | nothing: a driver's table                 |
// |          | regularJoin       | yes   | left, right               | append, retract  | retract                                   |
// |          | foreignKeyJoin    | yes   | left, right               | retract, by key  | retract; read by key after `materialize`  |
// | rank     | dedupe            | yes   | rows                      | append           | first: append; last: retract or upsert    |
// |          | topN              | yes   | rows                      | any (say which)  | retract                                   |
// |          | windowTopN        | yes   | rows                      | append           | append                                    |
// | table    | toTable           | yes   | rows                      | append, upsert   | retract or upsert                         |
// |          | upsertToRetract   | yes   | rows                      | upsert           | retract                                   |
// |          | materialize       | yes   | rows                      | retract          | retract or upsert                         |
// |          | history           | yes   | rows                      | by key           | retract                                   |
// |          | toStream          | no    | rows                      | any              | append                                    |
//
// Event time: a watermark of t says that no row at or before t is to come. A row at or before the watermark is late where an
// operator depends on it; what a window [start, end) gives has the time end - 1.
export { asyncMap, type AsyncCall, type AsyncFailure, type AsyncMapParams } from "./async/async-map.ts";
export type { RetryOptions } from "./async/backoff.ts";
export { filter, type FilterParams } from "./basic/filter.ts";
export { flatMap, type FlatMapParams } from "./basic/flat-map.ts";
export { map, type MapParams } from "./basic/map.ts";
export { rateLimit, type RateLimitParams } from "./basic/rate-limit.ts";
export { select, type SelectParams } from "./basic/select.ts";
export { split, type SplitBranch, type SplitParams } from "./basic/split.ts";
export { throttle, type ThrottleParams } from "./basic/throttle.ts";
export { union } from "./basic/union.ts";
export { withColumns, type WithColumnsParams } from "./basic/with-columns.ts";
export { foreignKeyJoin, type ForeignKeyJoinParams } from "./join/foreign-key-join.ts";
export { intervalJoin, type IntervalJoinParams } from "./join/interval-join.ts";
export { joinFields, type JoinNames } from "./join/join-fields.ts";
export type { JoinField, JoinSelect, JoinSides, JoinType, JoinWindow } from "./join/join-output.ts";
export { lookupJoin, type LookupJoinParams, wholeTable, wholeTableJoin } from "./join/lookup-join.ts";
export { regularJoin, type RegularJoinParams } from "./join/regular-join.ts";
export { temporalJoin, type TemporalJoinParams } from "./join/temporal-join.ts";
export { windowJoin, type JoinWindows, type WindowJoinParams } from "./join/window-join.ts";
export { broadcastProcess, type BroadcastFunctions, type BroadcastProcessParams } from "./process/broadcast-process.ts";
export type {
  BroadcastDeclarations,
  BroadcastMap,
  BroadcastMapsOf,
  ReadonlyBroadcastMap,
  ReadonlyBroadcastMapsOf,
} from "./process/broadcast-state.ts";
export type { InstanceList, InstanceListDeclaration, InstanceListDeclarations, InstanceListsOf } from "./process/instance-lists.ts";
export { instanceProcess, type InstanceFunctions, type InstanceProcessParams } from "./process/instance-process.ts";
export {
  coProcess,
  type CoProcessFunctions,
  type CoProcessParams,
  process,
  type ProcessFunctions,
  type ProcessParams,
  type Timer,
} from "./process/keyed-process.ts";
export type { ChangeName, EmitContext, KeyedContext, RowContext, SideTypes } from "./process/process-context.ts";
export { reduce, type ReduceParams } from "./process/reduce.ts";
export { reduceAggregate } from "./process/reduce-aggregate.ts";
export { dedupe, type DedupeParams } from "./rank/dedupe.ts";
export { topN, type TopNParams } from "./rank/top-n.ts";
export { windowTopN, type WindowTopNParams } from "./rank/window-top-n.ts";
export type { OrderField } from "./rows/row-order.ts";
export { history, type HistoryParams } from "./table/history.ts";
export { materialize, type MaterializeParams } from "./table/materialize.ts";
export { kindNames, type KindName, toStream, type ToStreamParams } from "./table/to-stream.ts";
export { toTable, type ToTableParams, upsertToRetract, type UpsertToRetractParams } from "./table/to-table.ts";
export { assignTimes, type AssignTimesParams } from "./time/assign-times.ts";
