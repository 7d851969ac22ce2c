// Schema evolution: how rows that an older version of a schema wrote are read into today's columns, or why they cannot be.
import type { ByteReader } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Column } from "../batch/column.ts";
import { rowCodec } from "../codec/row-codec.ts";
import { Schema } from "./schema.ts";
import type { RowSpec } from "./type-spec.ts";

/** A schema as a manifest stores it: JSON objects promise no order of fields, so it stands beside them. */
export interface StoredSchema {
  readonly spec: RowSpec;
  readonly order: readonly string[];
}

/** Reads one stored row into columns of today's schema. */
export type RowAdapter = (reader: ByteReader, columns: readonly Column[], row: number) => void;

/** The schema that a manifest describes. */
export function schemaOf(stored: StoredSchema): Schema {
  return new Schema(Object.fromEntries(stored.order.map((name) => [name, stored.spec[name]])) as RowSpec);
}

export function planAdaptation(
  subject: string,
  stored: StoredSchema,
  today: Schema,
  migrate?: (old: Readonly<Record<string, unknown>>) => Record<string, unknown>,
): RowAdapter {
  const old = schemaOf(stored);
  if (old.fingerprint === today.fingerprint) return rowCodec(today).decode;
  void migrate;
  throw new MillraceError(
    "STATE_SCHEMA_INCOMPATIBLE",
    subject,
    `stored ${old.fingerprint}, today ${today.fingerprint}`,
    "give a migrate function",
  );
}
