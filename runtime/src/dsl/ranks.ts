// Builds the dedupe, top-n and table nodes of the DSL.
import { parseDuration } from "../base/duration.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { TimeToLive } from "../core/ports/state.ts";
import type { FieldSpec } from "../core/schema/type-spec.ts";
import { Schema } from "../core/schema/schema.ts";
import { dedupe } from "../operators/rank/dedupe.ts";
import { topN } from "../operators/rank/top-n.ts";
import { windowTopN } from "../operators/rank/window-top-n.ts";
import { toTable } from "../operators/table/to-table.ts";
import { upsertToRetract } from "../operators/table/to-table.ts";
import type { NodeSpec } from "./graph-builder.ts";
import { type OperatorOptions, type StreamRef, addNode, hashInput } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

/** A time to live by the clock, prolonged by writes. */
export function processingTtl(ttl: Duration): TimeToLive {
  return { ttlMs: parseDuration(ttl, "ttl"), time: "processing", refresh: "write" };
}

export interface DedupeOptions extends OperatorOptions {
  /** Which row of a key stays: the first (an append-only stream) or the last (a changelog). Default first. */
  readonly keep?: "first" | "last";
  /** First or last by arrival (default) or by event time. */
  readonly by?: "arrival" | "time";
  /** How long a key is remembered, by the clock. Default: for ever. */
  readonly ttl?: Duration;
  /** For `first`: a key is remembered until the watermark is this far behind it. */
  readonly within?: Duration;
}

export interface TopNOptions<Row> extends OperatorOptions {
  /** Fields that order the rows, the most important first. */
  readonly orderBy: readonly { readonly field: keyof Row & string; readonly descending?: boolean; readonly nulls?: "first" | "last" }[];
  /** Adds the row's place, from 1 on, under this name. */
  readonly rank?: string;
  readonly offset?: number;
  readonly ttl?: Duration;
  /** The input's primary key; needed where the input upserts. */
  readonly unique?: readonly (keyof Row & string)[];
}

interface Keyed {
  readonly ref: StreamRef;
  readonly fields: readonly string[];
}

function keyedNode(
  { ref, fields }: Keyed,
  spec: Pick<NodeSpec, "kind" | "schema" | "changelog" | "options" | "body" | "sideSchemas">,
  options: OperatorOptions,
): StreamRef {
  const reads = [ref.schema.fields.map((field) => field.name)];
  const { uid, parallelism } = options;
  return addNode(
    ref.graph,
    { ...spec, uid, inputs: [hashInput(ref, fields)], stateful: true, reads },
    parallelism === undefined ? {} : { parallelism },
  );
}

export function addDedupe(from: Keyed, options: DedupeOptions): StreamRef {
  const { keep = "first", by = "arrival", ttl, within } = options;
  const schema = from.ref.schema;
  const create = dedupe({
    input: schema,
    key: keyLayout(schema, from.fields),
    keep,
    order: by,
    ...(ttl === undefined ? {} : { ttl: processingTtl(ttl) }),
    ...(within === undefined ? {} : { withinMs: parseDuration(within, "within") }),
    late: "late",
  });
  const spec = { kind: "dedupe", schema, sideSchemas: new Map([["late", schema]]), options: { key: from.fields, keep, by, ttl, within } };
  return keyedNode(
    from,
    { ...spec, changelog: keep === "first" ? "append" : "retract", body: { kind: "operator", create, keyed: true } },
    options,
  );
}

const rankSpec: FieldSpec = { type: { kind: "int64", as: "number" }, nullable: false, optional: false, aliases: [] };

function rankedSchema(schema: Schema, rank: string | undefined): Schema {
  return rank === undefined ? schema : new Schema({ ...schema.spec, [rank]: rankSpec });
}

export function addTopN<Row>(from: Keyed, limit: number, options: TopNOptions<Row>): StreamRef {
  const { orderBy, rank, offset, ttl, unique } = options;
  const input = from.ref.schema;
  const output = rankedSchema(input, rank);
  const create = topN({
    input,
    output,
    key: keyLayout(input, from.fields),
    order: orderBy,
    limit,
    changelog: from.ref.changelog,
    ...(offset === undefined ? {} : { offset }),
    ...(rank === undefined ? {} : { rank }),
    ...(ttl === undefined ? {} : { ttl: processingTtl(ttl) }),
    ...(unique === undefined ? {} : { unique: keyLayout(input, unique) }),
  });
  const spec = {
    kind: "topN",
    schema: output,
    changelog: "retract" as ChangelogMode,
    options: { key: from.fields, limit, orderBy, rank, offset },
  };
  return keyedNode(from, { ...spec, body: { kind: "operator", create, keyed: true } }, options);
}

export function addWindowTopN<Row>(from: Keyed, limit: number, options: TopNOptions<Row> & { readonly windowEnd?: string }): StreamRef {
  const { orderBy, rank, offset, windowEnd = "windowEnd" } = options;
  const input = from.ref.schema;
  const output = rankedSchema(input, rank);
  const create = windowTopN({
    input,
    output,
    key: keyLayout(input, from.fields),
    windowEnd,
    order: orderBy,
    limit,
    ...(offset === undefined ? {} : { offset }),
    ...(rank === undefined ? {} : { rank }),
    late: "late",
  });
  const spec = {
    kind: "windowTopN",
    schema: output,
    sideSchemas: new Map([["late", input]]),
    options: { key: from.fields, limit, orderBy, rank, offset, windowEnd },
  };
  return keyedNode(from, { ...spec, body: { kind: "operator", create, keyed: true } }, options);
}

export interface TableOptions<Row> extends OperatorOptions {
  /** `time`: a row with an earlier time than the one it would replace is left out. Default `arrival`. */
  readonly order?: "arrival" | "time";
  /** Rows that mean that their key is gone. */
  readonly isDelete?: (row: Row) => boolean;
  readonly ttl?: Duration;
}

export function addTable<Row>(from: Keyed, options: TableOptions<Row>): StreamRef {
  const { order = "arrival", isDelete, ttl } = options;
  const input = from.ref.schema as Schema<Row>;
  const common = { input, key: keyLayout(input, from.fields), order, ...(ttl === undefined ? {} : { ttl: processingTtl(ttl) }) };
  const create =
    from.ref.changelog === "append"
      ? toTable({ ...common, output: "retract", ...(isDelete === undefined ? {} : { isDelete }) })
      : upsertToRetract(common);
  const spec = { kind: "table", schema: from.ref.schema, changelog: "retract" as ChangelogMode, options: { key: from.fields, order, ttl } };
  return keyedNode(from, { ...spec, body: { kind: "operator", create, keyed: true } }, options);
}
