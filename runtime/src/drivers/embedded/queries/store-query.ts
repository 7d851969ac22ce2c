// A query of one store: what may be asked, and its answer from the tables of one task, between two of its turns.
import { MillraceError } from "../../../base/errors.ts";
import { Batch, identitySelection, Rows } from "../../../core/batch/batch.ts";
import { rowView } from "../../../core/batch/row-view.ts";
import { rowWriter } from "../../../core/batch/rows-builder.ts";
import { fromJson, type JsonValue, rowFromJson, rowToJson } from "../../../core/codec/json-value.ts";
import { type KeyBatch, KeyReader } from "../../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../../core/keys/key-layout.ts";
import type { SubKey } from "../../../core/ports/state.ts";
import type { Schema, SchemaField } from "../../../core/schema/schema.ts";
import { StoredRows } from "../../../operators/rows/stored-rows.ts";
import type { QueryTable } from "./queryable-state.ts";

/** `window` is the entry's namespace: the start of a window or pane, ms; 0 where the operator has none. */
export type StoreQuery = { readonly table?: string; readonly limit?: number } & (
  | { readonly kind: "get"; readonly key: JsonValue; readonly window?: number }
  | { readonly kind: "windows"; readonly key: JsonValue; readonly from?: number; readonly to?: number }
  /** Keys whose first field is at least `from` and below `to`. */
  | { readonly kind: "range"; readonly from?: JsonValue; readonly to?: JsonValue }
  /** Keys whose first field is a text that begins so. */
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "all" }
);

/** A query that is about one key. */
export type KeyQuery = Extract<StoreQuery, { readonly key: JsonValue }>;

export interface StoreRow {
  readonly key: JsonValue;
  readonly window: number;
  /** Of a store with several entries per key. */
  readonly subKey?: SubKey;
  readonly value: JsonValue;
}

export interface StoreRows {
  /** In no particular order. */
  readonly rows: readonly StoreRow[];
  /** False where the limit left some out. */
  readonly complete: boolean;
}

export const mostRows = 10_000;
const defaultLimit = 1000;

export function limitOf({ limit = defaultLimit }: StoreQuery): number {
  return Math.max(0, Math.min(limit, mostRows));
}

/** The one key that `json` stands for: an object of the key's fields, or the value itself where there is one field. Throws QUERY_INVALID. */
export function keyOf(layout: KeyLayout, json: JsonValue): KeyBatch {
  const { schema, form } = layout;
  const [only, more] = schema.fields;
  const isRow = typeof json === "object" && json !== null && !Array.isArray(json);
  const given = !isRow && only !== undefined && more === undefined ? { [only.name]: json } : json;
  const rows = new Rows(schema, 1);
  rows.ready.fill(1);
  rows.size = 1;
  try {
    rowWriter(schema)(rows, 0, rowFromJson(schema, given));
  } catch (cause) {
    throw invalid(
      `the key ${JSON.stringify(json)} is none of this store`,
      `give ${schema.fields.map((field) => field.name).join(", ")}`,
      cause,
    );
  }
  const own: KeyLayout = { form, schema, fieldIndexes: schema.fields.map((field) => field.index) };
  return new KeyReader(own).read(new Batch(rows).set(rows, identitySelection(1), 1));
}

/** Runs on what the task has processed, committed or not. It changes nothing. */
export function queryTable(store: QueryTable, query: StoreQuery): StoreRows {
  const answer = new Answer(store, limitOf(query));
  switch (query.kind) {
    case "get":
      answer.addKey(keyOf(store.spec.key, query.key), query.window ?? 0);
      break;
    case "windows": {
      const keys = keyOf(store.spec.key, query.key);
      const { from = -Infinity, to = Infinity } = query;
      if (store.form === "table")
        for (const window of store.table.namespaces()) if (window >= from && window < to) answer.addKey(keys, window);
      if (store.form === "multi") answer.addMatching((row) => row.window >= from && row.window < to && sameKey(row.key, query.key));
      break;
    }
    case "all":
      answer.addMatching(() => true);
      break;
    case "range":
    case "prefix":
      answer.addFirst(wanted(firstField(store.spec.key), query));
  }
  return { rows: answer.rows, complete: !answer.full };
}

function sameKey(found: JsonValue, asked: JsonValue): boolean {
  const isRow = typeof asked === "object" && asked !== null;
  return JSON.stringify(isRow ? found : Object.values(found as object)[0]) === JSON.stringify(asked);
}

function firstField(layout: KeyLayout): SchemaField {
  const [field] = layout.schema.fields;
  if (field === undefined) throw invalid("the store has no key", "ask for all of it");
  return field;
}

function wanted(field: SchemaField, query: Extract<StoreQuery, { kind: "range" | "prefix" }>): (value: unknown) => boolean {
  if (query.kind === "prefix") return (value) => typeof value === "string" && value.startsWith(query.prefix);
  const bound = (json: JsonValue | undefined): string | number | bigint | undefined => {
    if (json === undefined) return undefined;
    try {
      return fromJson(field.name, field.spec, json) as string | number | bigint;
    } catch (cause) {
      throw invalid(`${JSON.stringify(json)} is no bound of ${field.name}`, "give a value of the key's first field", cause);
    }
  };
  const from = bound(query.from);
  const to = bound(query.to);
  return (value) => {
    const one = value as string | number | bigint;
    return (from === undefined || one >= from) && (to === undefined || one < to);
  };
}

function invalid(problem: string, next: string, cause?: unknown): MillraceError {
  return new MillraceError("QUERY_INVALID", "query", problem, next, { cause });
}

class Answer {
  readonly rows: StoreRow[] = [];
  full = false;
  readonly #store: QueryTable;
  readonly #limit: number;
  readonly #keyRows: Rows;
  readonly #keyTargets: readonly number[];
  readonly #key: Readonly<Record<string, unknown>> & { point(rows: Rows, row: number): void };
  readonly #shown: Rows;
  readonly #value: Readonly<Record<string, unknown>> & { point(rows: Rows, row: number): void };
  readonly #slot = new Int32Array(1);

  constructor(store: QueryTable, limit: number) {
    this.#store = store;
    this.#limit = limit;
    const { key, value, shown } = store.spec;
    this.#keyRows = oneRow(key);
    this.#keyTargets = key.schema.fields.map((field) => field.index);
    this.#key = rowView(key.schema as Schema<Readonly<Record<string, unknown>>>);
    this.#shown = shown === undefined ? new StoredRows(value, store.table).rows : oneRow({ schema: shown.schema });
    this.#value = rowView(this.#shown.schema as Schema<Readonly<Record<string, unknown>>>);
  }

  addKey(keys: KeyBatch, window: number): void {
    if (this.#store.form === "table") {
      const slot = this.#store.table.find(keys, 0, window, false);
      if (slot >= 0) this.#add(slot);
      return;
    }
    const { slots, count } = this.#store.table.entriesOf(keys, 0, window);
    for (let i = 0; i < count; i++) this.#add(slots[i] as number);
  }

  addMatching(isWanted: (row: StoreRow) => boolean): void {
    this.#store.table.visitAll((slots, count) => {
      for (let i = 0; i < count && !this.full; i++) {
        const row = this.#rowAt(slots[i] as number);
        if (isWanted(row)) this.#push(row);
      }
    });
  }

  /** Entries by the first field of their key. */
  addFirst(isWanted: (value: unknown) => boolean): void {
    const first = firstField(this.#store.spec.key).name;
    this.#store.table.visitAll((slots, count) => {
      for (let i = 0; i < count && !this.full; i++) {
        this.#readKey(slots[i] as number);
        if (isWanted(this.#key[first])) this.#add(slots[i] as number);
      }
    });
  }

  #add(slot: number): void {
    this.#push(this.#rowAt(slot));
  }

  #push(row: StoreRow): void {
    if (this.rows.length >= this.#limit) this.full = true;
    else this.rows.push(row);
  }

  #readKey(slot: number): void {
    this.#store.table.copyKey(slot, this.#keyRows, 0, this.#keyTargets);
    this.#key.point(this.#keyRows, 0);
  }

  #rowAt(slot: number): StoreRow {
    const { spec, table } = this.#store;
    this.#readKey(slot);
    if (spec.shown === undefined) this.#value.point(this.#shown, slot);
    else {
      this.#slot[0] = slot;
      spec.shown.show(this.#slot, 1, this.#shown);
      this.#value.point(this.#shown, 0);
    }
    return {
      key: rowToJson(spec.key.schema.spec, { ...this.#key }),
      window: table.namespaceOf(slot),
      ...(this.#store.form === "multi" ? { subKey: this.#store.table.subKeyOf(slot) } : {}),
      value: rowToJson(this.#shown.schema.spec, { ...this.#value }),
    };
  }
}

function oneRow({ schema }: Pick<KeyLayout, "schema">): Rows {
  const rows = new Rows(schema, 1);
  rows.ready.fill(1);
  rows.size = 1;
  return rows;
}
