// Cogroup: streams of different rows with one key as one keyed stream, so that one aggregate, window or function takes all of them.
import { MillraceError } from "../base/errors.ts";
import { Schema } from "../core/schema/schema.ts";
import type { FieldSpec } from "../core/schema/type-spec.ts";
import { widen } from "../operators/basic/widen.ts";
import { KeyedStream } from "./keyed-stream.ts";
import { Stream } from "./stream.ts";
import { type StreamRef, addNode, forwardInput } from "./stream-ref.ts";

interface Keyed {
  readonly ref: StreamRef;
  readonly fields: readonly string[];
}

type RowIn<T> = T extends { readonly schema: Schema<infer Row> } ? Row : never;
type KeyIn<T> = T extends { readonly fields: readonly (infer K)[] } ? K & string : never;
type FieldIn<Row, F> = Row extends unknown ? (F extends keyof Row ? Row[F] : never) : never;
type All<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer Every) => void ? Every : never;
type Own<Name extends string, Row, Key> = {
  readonly [F in Exclude<keyof Row & string, Key> as `${Name}_${F}`]: Row[F] | null;
};

/** The key, and the other fields of each stream as `<stream>_<field>`: null in rows of the others. */
export type CogroupedRow<S> = { readonly [F in KeyIn<S[keyof S]>]: FieldIn<RowIn<S[keyof S]>, F> } & All<
  { [N in keyof S & string]: Own<N, RowIn<S[N]>, KeyIn<S[N]>> }[keyof S & string]
>;

/**
 * The rows of all streams as they come, by the key that they have in common: `cogroup({ clicks: clicks.keyBy("user"), orders: orders.keyBy("user") })`.
 * Aggregates leave null out, so `count("clicks_page")` counts rows of one stream and `sum("orders_amount")` adds up another's.
 * Throws PLAN_COGROUP_KEY where the keys differ in a name or a type.
 */
export function cogroup<const S extends Readonly<Record<string, Keyed>>>(
  streams: S,
): KeyedStream<CogroupedRow<S>, KeyIn<S[keyof S]> & keyof CogroupedRow<S> & string> {
  const all = Object.entries<Keyed>(streams);
  const [first] = all;
  if (first === undefined) throw refused("there is no stream", "name at least one");
  const key = first[1].fields;
  const spec: Record<string, FieldSpec> = {};
  for (const name of key) spec[name] = first[1].ref.schema.field(name).spec;
  for (const [name, { ref, fields }] of all) {
    checkKey(first[1], ref, fields, name);
    for (const field of ref.schema.fields) {
      if (key.includes(field.name)) continue;
      const wide = `${name}_${field.name}`;
      if (spec[wide] !== undefined) throw refused(`the field "${wide}" would be there twice`, "give the streams other names");
      spec[wide] = { ...field.spec, nullable: true };
    }
  }
  const schema = new Schema<CogroupedRow<S>>(spec);
  const [one, ...others] = all.map(([name, { ref }]) => new Stream<CogroupedRow<S>>(widened(ref, name, key, schema)));
  const united = (one as Stream<CogroupedRow<S>>).union(...others);
  type Key = KeyIn<S[keyof S]> & keyof CogroupedRow<S> & string;
  return new KeyedStream<CogroupedRow<S>, Key>(united.ref, key as readonly Key[], (ref) => new Stream(ref));
}

function widened(ref: StreamRef, name: string, key: readonly string[], schema: Schema): StreamRef {
  const names = Object.fromEntries(
    ref.schema.fields.map((field) => [key.includes(field.name) ? field.name : `${name}_${field.name}`, field.name]),
  );
  return addNode(
    ref.graph,
    {
      kind: "widen",
      inputs: [forwardInput(ref)],
      schema,
      changelog: ref.changelog,
      options: { stream: name },
      reads: [ref.schema.fields.map((field) => field.name)],
      body: { kind: "operator", create: widen({ input: ref.schema, output: schema, names }), keyed: false },
    },
    {},
  );
}

function checkKey(first: Keyed, ref: StreamRef, fields: readonly string[], name: string): void {
  const shown = (of: StreamRef, names: readonly string[]): string => {
    const typed = names.map((each) => {
      const { type, nullable, optional } = of.schema.field(each).spec;
      return `${each}: ${JSON.stringify(type)}${nullable || optional ? "?" : ""}`;
    });
    return typed.join(", ");
  };
  const [wanted, found] = [shown(first.ref, first.fields), shown(ref, fields)];
  if (wanted === found) return;
  throw refused(
    `the key of "${name}" (${found}) is not that of the first stream (${wanted})`,
    "key all streams by fields of the same names and types: rename or map them before",
  );
}

function refused(problem: string, next: string): MillraceError {
  return new MillraceError("PLAN_COGROUP_KEY", "cogroup", problem, next);
}
