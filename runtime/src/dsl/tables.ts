// Builds the nodes that show a table in another way: its history as rows, its changes as rows.
import { parseDuration } from "../base/duration.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import { enumeration, timestamp } from "../core/schema/field.ts";
import { Schema } from "../core/schema/schema.ts";
import { history } from "../operators/table/history.ts";
import { type KindName, kindNames, toStream } from "../operators/table/to-stream.ts";
import { type OperatorOptions, type StreamRef, addNode, forwardInput, hashInput } from "./stream-ref.ts";
import type { Duration } from "./windows.ts";

export interface HistoryOptions<From extends string, To extends string> extends OperatorOptions {
  /** Names of the timestamps that are added. Default `validFrom` and `validTo`. */
  readonly validFrom?: From;
  readonly validTo?: To;
  /** Versions that ended longer than this before the watermark are no longer changed, and are forgotten. Default: kept for ever. */
  readonly retention?: Duration;
}

export function addHistory(
  from: { readonly ref: StreamRef; readonly fields: readonly string[] },
  options: HistoryOptions<string, string>,
): StreamRef {
  const { validFrom = "validFrom", validTo = "validTo", retention, ...node } = options;
  const input = from.ref.schema;
  const output = new Schema({ ...input.spec, [validFrom]: timestamp().spec, [validTo]: timestamp().nullable().spec });
  const create = history({
    input,
    key: keyLayout(input, from.fields),
    output,
    validFrom,
    validTo,
    late: "late",
    ...(retention === undefined ? {} : { retentionMs: parseDuration(retention, "retention") }),
  });
  return addNode(
    from.ref.graph,
    {
      kind: "history",
      inputs: [hashInput(from.ref, from.fields)],
      schema: output,
      sideSchemas: new Map([["late", input]]),
      changelog: "retract",
      stateful: true,
      options: { key: from.fields, validFrom, validTo, ...(retention === undefined ? {} : { retention }) },
      reads: [input.fields.map(({ name }) => name)],
      body: { kind: "operator", create, keyed: true },
    },
    node,
  );
}

export interface ToStreamOptions<Kind extends string> extends OperatorOptions {
  /** Adds a field of this name that says what each row is. */
  readonly kind?: Kind;
  /** Rows of other kinds are left out. Default all. */
  readonly kinds?: readonly KindName[];
}

export function addToStream(ref: StreamRef, options: ToStreamOptions<string>): StreamRef {
  const { kind, kinds, ...node } = options;
  const input = ref.schema;
  const output = kind === undefined ? input : new Schema({ ...input.spec, [kind]: enumeration(...kindNames).spec });
  const create = toStream({ input, output, ...(kind === undefined ? {} : { kindField: kind }), ...(kinds === undefined ? {} : { kinds }) });
  return addNode(
    ref.graph,
    {
      kind: "toStream",
      inputs: [forwardInput(ref)],
      schema: output,
      options: { ...(kind === undefined ? {} : { kind }), ...(kinds === undefined ? {} : { kinds }) },
      reads: [[]],
      body: { kind: "operator", create, keyed: false },
    },
    node,
  );
}
