// Global tables of the DSL: a source whose latest rows by key any stream may look up, without an exchange where the driver holds it whole.
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Schema } from "../core/schema/schema.ts";
import { lookupJoin, type LookupJoinParams, wholeTable, wholeTableJoin } from "../operators/join/lookup-join.ts";
import type { SourceBody } from "../plan/dataflow.ts";
import type { JoinOptions } from "./join-types.ts";
import { fieldNames, joinSides, type JoinShape } from "./joins.ts";
import { type StreamRef, addNode, hashInput } from "./stream-ref.ts";

export interface GlobalTableOptions<Row, K extends string> {
  /** The table's primary key: of each, the last row counts. */
  readonly key: readonly [K, ...K[]];
  /** Rows that mean that their key is gone, beside deletions of a changelog. */
  readonly isDelete?: (row: Row) => boolean;
}

export interface GlobalJoinOptions<T extends "inner" | "left", Row> extends JoinOptions<T> {
  /** The fields of the stream that are the table's key, in its order. Default: those of the key's names. */
  readonly on?: readonly (keyof Row & string)[];
}

/** What `flow.globalTable` gives: nothing but joins read it. */
export class GlobalTable<Row> {
  readonly ref: StreamRef;
  readonly key: readonly string[];
  readonly isDelete: ((row: Row) => boolean) | undefined;

  constructor(ref: StreamRef, { key, isDelete }: GlobalTableOptions<Row, string>) {
    this.ref = ref;
    this.key = key;
    this.isDelete = isDelete;
  }
}

/** How a driver keeps the table whole. */
export function tableBody<Row>(schema: Schema<Row>, { key, isDelete }: GlobalTableOptions<Row, string>): NonNullable<SourceBody["table"]> {
  const layout = keyLayout(schema, key);
  return { key: layout, create: wholeTable({ schema, key: layout, ...(isDelete === undefined ? {} : { isDelete }) }) };
}

export function addGlobalJoin(
  left: StreamRef,
  table: GlobalTable<never>,
  options: GlobalJoinOptions<"inner" | "left", never> & JoinShape,
): StreamRef {
  const { uid, parallelism, type = "inner", on = table.key, ...shape } = options;
  const sides = joinSides({ ref: left, fields: on }, { ref: table.ref, fields: table.key }, type, shape);
  const isDelete = table.isDelete as ((row: unknown) => boolean) | undefined;
  const params: LookupJoinParams = {
    ...sides,
    type,
    leftKey: keyLayout(left.schema, on),
    rightKey: keyLayout(table.ref.schema, table.key),
    ...(isDelete === undefined ? {} : { isDelete }),
  };
  return addNode(
    left.graph,
    {
      kind: "join.global",
      uid,
      inputs: [hashInput(left, on), hashInput(table.ref, table.key)],
      schema: sides.output,
      changelog: left.changelog,
      stateful: true,
      options: { kind: "global", type, on },
      reads: "select" in shape ? [null, null] : [fieldNames(left.schema), fieldNames(table.ref.schema)],
      body: { kind: "operator", create: lookupJoin(params), keyed: true, overTable: (whole) => wholeTableJoin(params, whole) },
    },
    parallelism === undefined ? {} : { parallelism },
  );
}
