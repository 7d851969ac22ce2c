// Builds the foreign-key join of the DSL: the join where the references lead, and the table of its result by the left primary key.
import { keyLayout } from "../core/keys/key-layout.ts";
import { foreignKeyJoin } from "../operators/join/foreign-key-join.ts";
import { joinFields } from "../operators/join/join-fields.ts";
import { materialize } from "../operators/table/materialize.ts";
import { refuseUpserts } from "./changelogs.ts";
import type { JoinSide } from "./joins.ts";
import { type OperatorOptions, type StreamRef, addNode, hashInput } from "./stream-ref.ts";

export interface ReferenceJoinShape {
  readonly type: "inner" | "left";
  readonly primary: readonly string[];
  readonly leftPrefix?: string;
  readonly rightPrefix?: string;
}

/** `left` is keyed by its reference, `right` by its primary key. */
export function addReferenceJoin(left: JoinSide, right: JoinSide, shape: ReferenceJoinShape, options: OperatorOptions): StreamRef {
  refuseUpserts(left.ref, "joinReference");
  const { type, primary, leftPrefix = "", ...names } = shape;
  const { output, fields } = joinFields(left.ref.schema, right.ref.schema, type, { leftPrefix, ...names });
  const joined = addNode(
    left.ref.graph,
    {
      kind: "join.reference",
      inputs: [hashInput(left.ref, left.fields), hashInput(right.ref, right.fields)],
      schema: output,
      changelog: "retract",
      stateful: true,
      options: { type, reference: left.fields, primary },
      reads: [left.ref, right.ref].map(({ schema }) => schema.fields.map(({ name }) => name)),
      body: {
        kind: "operator",
        keyed: true,
        create: foreignKeyJoin({
          left: left.ref.schema,
          right: right.ref.schema,
          output,
          select: { kind: "fields", fields },
          type,
          leftReference: keyLayout(left.ref.schema, left.fields),
          leftPrimary: keyLayout(left.ref.schema, primary),
          rightPrimary: keyLayout(right.ref.schema, right.fields),
        }),
      },
    },
    options,
  );
  // A changed reference is taken back at one instance and given at another: by the primary key both come together again.
  const key = primary.map((name) => `${leftPrefix}${name}`);
  const { uid, ...rest } = options;
  return addNode(
    left.ref.graph,
    {
      kind: "table",
      inputs: [hashInput(joined, key)],
      schema: output,
      changelog: "retract",
      stateful: true,
      options: { key },
      body: { kind: "operator", create: materialize({ input: output, key: keyLayout(output, key) }), keyed: true },
    },
    { ...rest, ...(uid === undefined ? {} : { uid: `${uid}.table` }) },
  );
}
