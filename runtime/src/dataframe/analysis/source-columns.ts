// Columns that a source can add to its records' own: where each record came from.
import { bytes, int53, string, timestamp } from "../../core/schema/field.ts";
import type { RowSpec } from "../../core/schema/type-spec.ts";

/** `_split` is the partition or file, `_offset` the position in it, `_timestamp` the connector's own time, `_key` the record's key. */
export const metadataFields: RowSpec = {
  _split: string().spec,
  _offset: int53().spec,
  _timestamp: timestamp().nullable().spec,
  _key: bytes().nullable().spec,
};
