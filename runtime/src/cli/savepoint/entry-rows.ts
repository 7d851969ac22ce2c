// The entries of a snapshot as plain JSON, decoded by the specs that its manifest stores.
import type { StoredSnapshot } from "../../checkpoint/store/stored-snapshot.ts";
import { type MergedBlock, mergeState } from "../../checkpoint/savepoint/merge-state.ts";
import { decodeEntries } from "../../checkpoint/format/payload.ts";
import { Rows } from "../../core/batch/batch.ts";
import { rowView } from "../../core/batch/row-view.ts";
import { type JsonValue, rowToJson } from "../../core/codec/json-value.ts";
import { rowCodec } from "../../core/codec/row-codec.ts";
import { readKeyInto } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import { schemaOf } from "../../core/schema/evolution.ts";
import { readBlock } from "../../state/entry-codec.ts";
import { entryMerging } from "../../state/entry-merging.ts";

export interface EntryRow {
  readonly uid: string;
  readonly table: string;
  readonly form: StoredTableSpec["form"] | "list";
  readonly key: JsonValue;
  /** Of a window or pane: its start; 0 where the operator has none. */
  readonly namespace: number | null;
  /** Of a multi table: what tells the entries of a key apart. Of a timer: its time, ms since the epoch. Of a list: the subtask. */
  readonly subKey: number | string | null;
  readonly value: JsonValue;
}

/** The entries of one block of one table. */
export function rowsOfBlock(uid: string, block: MergedBlock): readonly EntryRow[] {
  const { name, form, keyForm, subKey } = block.spec;
  const rows: EntryRow[] = [];
  const decoder = decoderOf(block.spec);
  readBlock(block, `table "${name}" of ${uid}`, keyForm === "integer", subKey, (cursor, reader) => {
    const key = decoder.readKey(reader.buffer, cursor.keyStart, cursor.keyEnd);
    const value = cursor.isDelete || form === "timers" ? null : rowToJson(decoder.valueSpec, decoder.readValue(reader));
    rows.push({ uid, table: name, form, key, namespace: cursor.namespace, subKey: subKey === undefined ? null : cursor.subKey, value });
  });
  return rows;
}

interface EntryDecoder {
  readonly valueSpec: StoredTableSpec["value"];
  readKey(bytes: Uint8Array, start: number, end: number): JsonValue;
  readValue(reader: Parameters<ReturnType<typeof rowCodec>["decodeObject"]>[0]): Readonly<Record<string, unknown>>;
}

const decoders = new WeakMap<StoredTableSpec, EntryDecoder>();

function decoderOf(spec: StoredTableSpec): EntryDecoder {
  let decoder = decoders.get(spec);
  if (decoder === undefined) {
    decoder = makeDecoder(spec);
    decoders.set(spec, decoder);
  }
  return decoder;
}

function makeDecoder(spec: StoredTableSpec): EntryDecoder {
  const keySchema = schemaOf({ spec: spec.key, order: spec.keyOrder });
  const valueSchema = schemaOf({ spec: spec.value, order: spec.valueOrder });
  const fieldIndexes = keySchema.fields.map((field) => field.index);
  const layout: KeyLayout = { form: spec.keyForm, schema: keySchema, fieldIndexes };
  const keyRows = new Rows(keySchema, 1);
  const view = rowView(keySchema);
  const codec = rowCodec(valueSchema);
  return {
    valueSpec: valueSchema.spec,
    readKey(bytes, start, end) {
      keyRows.reset();
      keyRows.ensure(1);
      keyRows.ready.fill(1);
      for (const column of keyRows.columns) column.nulls?.fill(0);
      readKeyInto(layout, bytes, start, end, keyRows, 0, fieldIndexes);
      view.point(keyRows, 0);
      return rowToJson(keySchema.spec, { ...(view as object) });
    },
    readValue: (reader) => codec.decodeObject(reader) as Readonly<Record<string, unknown>>,
  };
}

/** What is wanted of a snapshot. */
export interface EntryFilter {
  readonly uid?: string | undefined;
  /** A table's or a list's name. */
  readonly table?: string | undefined;
}

/** All entries: keyed state by operator and key group, then operator state lists. */
export async function* entryRows(snapshot: StoredSnapshot, filter: EntryFilter): AsyncGenerator<EntryRow> {
  const range = { from: 0, to: snapshot.manifest.maxParallelism };
  for (const [uid, operator] of Object.entries(snapshot.manifest.operators)) {
    if (filter.uid !== undefined && filter.uid !== uid) continue;
    for await (const block of mergeState(snapshot, uid, operator.state, range, { merging: entryMerging, keepDeletions: false })) {
      if (filter.table === undefined || filter.table === block.table) yield* rowsOfBlock(uid, block);
    }
    for (const { name, parts } of operator.lists) {
      if (filter.table !== undefined && filter.table !== name) continue;
      for (const { subtask, payload } of parts) {
        for (const { key, value } of decodeEntries(await snapshot.payload(payload), snapshot.url)) {
          yield { uid, table: name, form: "list", key, namespace: null, subKey: subtask, value: Buffer.from(value).toString("base64") };
        }
      }
    }
  }
}
