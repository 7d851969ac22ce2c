// What authors of connectors and formats import: the ports, the batches they carry, and the contract suites.
export { ByteReader, ByteWriter } from "./base/bytes.ts";
export type { Clock } from "./base/clock.ts";
export type { Log } from "./base/log.ts";
export * from "./connectors/contract/index.ts";
export { Batch, noTime, type RowKind, rowKind, Rows } from "./core/batch/batch.ts";
export type { Column } from "./core/batch/column.ts";
export type { RawRecords, RecordHeaders } from "./core/batch/raw-records.ts";
export { type RowView, rowView } from "./core/batch/row-view.ts";
export { RowsBuilder } from "./core/batch/rows-builder.ts";
export type { BadRow } from "./core/operator/bad-rows.ts";
export type { BadRecordHandler, Format, RecordDecoder, RecordEncoder } from "./core/ports/format.ts";
export type { ChangelogMode, Delivery, Sink, SinkContext, SinkWriter } from "./core/ports/sink.ts";
export type { Source, SourceBatch, SourceContext, SourceReader, SourceSplit, SplitEnumerator } from "./core/ports/source.ts";
