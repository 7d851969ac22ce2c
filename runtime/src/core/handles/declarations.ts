// State of a user's function, declared as values: `state.value(int64())`, `state.list(...)`, `state.map(...)`.
import { MillraceError } from "../../base/errors.ts";
import type { Migration, TimeToLive } from "../ports/state.ts";
import type { Field } from "../schema/field.ts";
import { Schema } from "../schema/schema.ts";
import type { FieldSpec } from "../schema/type-spec.ts";

/** What a state holds: a scalar by its field, or a row by its schema. */
export type StateType<T> = Field<T, boolean> | Schema<T>;

export interface StateOptions {
  /** How long entries live; forever by default. Each element of a list and each entry of a map has its own life. */
  readonly ttl?: TimeToLive;
  /** From a value that an older version stored. A scalar is the property `value` of both objects. */
  readonly migrate?: Migration;
}

interface Declared<Kind extends string> {
  readonly kind: Kind;
  /** The schema of an entry's value; a scalar is a field called `value`. */
  readonly schema: Schema;
  /** True where the value is the one field of the schema. */
  readonly scalar: boolean;
  readonly options: StateOptions;
}

export interface ValueDeclaration<T> extends Declared<"value"> {
  readonly "~type"?: T;
}

export interface ListDeclaration<T> extends Declared<"list"> {
  readonly "~type"?: T;
}

export interface MapDeclaration<K, V> extends Declared<"map"> {
  readonly key: FieldSpec;
  readonly "~type"?: readonly [K, V];
}

export interface ReducingDeclaration<T> extends Declared<"reducing"> {
  readonly reduce: (a: T, b: T) => T;
}

/** How values become an accumulator, and the accumulator a result. Accumulators are stored: return a new one, or the same after changing it. */
export interface Aggregator<In, Acc, Out> {
  readonly accumulator: StateType<Acc>;
  create(): Acc;
  add(accumulator: Acc, value: In): Acc;
  result(accumulator: Acc): Out;
}

export interface AggregatingDeclaration<In, Acc, Out> extends Declared<"aggregating"> {
  readonly aggregator: Aggregator<In, Acc, Out>;
}

function declared<Kind extends string>(kind: Kind, type: StateType<never>, options: StateOptions): Declared<Kind> {
  if (type instanceof Schema) return { kind, schema: type, scalar: false, options };
  return { kind, schema: new Schema({ value: (type as Field<never>).spec }), scalar: true, options };
}

/** One value per key. */
function value<T>(type: StateType<T>, options: StateOptions = {}): ValueDeclaration<T> {
  return declared("value", type as StateType<never>, options);
}

/** A list of values per key, in the order they were added. Adding one costs one, however long the list. */
function list<T>(type: StateType<T>, options: StateOptions = {}): ListDeclaration<T> {
  return declared("list", type as StateType<never>, options);
}

const mapKeys: ReadonlySet<FieldSpec["type"]["kind"]> = new Set(["string", "enum", "int8", "int16", "int32", "int64", "timestamp", "date"]);

/** A map per key. Its keys are strings, enums, integers, instants or days; each entry is stored on its own. */
function map<K extends string | number | bigint, V>(
  key: Field<K, boolean>,
  type: StateType<V>,
  options: StateOptions = {},
): MapDeclaration<K, V> {
  if (!mapKeys.has(key.spec.type.kind) || key.spec.nullable || key.spec.optional) {
    throw new MillraceError(
      "KEY_UNSUPPORTED",
      "a map state",
      `a ${key.spec.type.kind} cannot be its key`,
      "use a string or an integer that is always there",
    );
  }
  return { ...declared("map", type as StateType<never>, options), key: key.spec };
}

/** One value per key: all values added so far, reduced to one. */
function reducing<T>(type: StateType<T>, reduce: (a: T, b: T) => T, options: StateOptions = {}): ReducingDeclaration<T> {
  return { ...declared("reducing", type as StateType<never>, options), reduce };
}

/** One accumulator per key, and its result. */
function aggregating<In, Acc, Out>(aggregator: Aggregator<In, Acc, Out>, options: StateOptions = {}): AggregatingDeclaration<In, Acc, Out> {
  return { ...declared("aggregating", aggregator.accumulator as StateType<never>, options), aggregator };
}

/** The builders of state declarations. */
export const state: {
  readonly value: typeof value;
  readonly list: typeof list;
  readonly map: typeof map;
  readonly reducing: typeof reducing;
  readonly aggregating: typeof aggregating;
} = { value, list, map, reducing, aggregating };

/** Any declaration, whatever its types: the functions are called with what they returned themselves, or with the user's values. */
export type AnyDeclaration =
  | Declared<"value">
  | Declared<"list">
  | (Declared<"map"> & { readonly key: FieldSpec })
  | (Declared<"reducing"> & { readonly reduce: (a: never, b: never) => unknown })
  | (Declared<"aggregating"> & { readonly aggregator: AnyAggregator });

export interface AnyAggregator {
  create(): unknown;
  add(accumulator: never, value: never): unknown;
  result(accumulator: never): unknown;
}

/** The declarations of a function's state by name. */
export type Declarations = Readonly<Record<string, AnyDeclaration>>;
