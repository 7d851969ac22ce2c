// The handles through which a user's function sees its state: always that of the key that is being processed.
import type { KeyBatch } from "../keys/key-batch.ts";
import type { KeyLayout } from "../keys/key-layout.ts";
import type { KeyedState } from "../ports/state.ts";
import type {
  AggregatingDeclaration,
  AnyDeclaration,
  Declarations,
  ListDeclaration,
  MapDeclaration,
  ReducingDeclaration,
  ValueDeclaration,
} from "./declarations.ts";
import {
  AggregatingHandle,
  type AggregatingState,
  ReducingHandle,
  type ReducingState,
  ValueHandle,
  type ValueState,
} from "./value-state.ts";
import { ListHandle, type ListState, MapHandle, type MapState } from "./collection-state.ts";

/** The handle of a declaration. */
export type HandleOf<D> =
  D extends ValueDeclaration<infer T>
    ? ValueState<T>
    : D extends ListDeclaration<infer T>
      ? ListState<T>
      : D extends MapDeclaration<infer K, infer V>
        ? MapState<K, V>
        : D extends ReducingDeclaration<infer T>
          ? ReducingState<T>
          : D extends AggregatingDeclaration<infer In, infer _Acc, infer Out>
            ? AggregatingState<In, Out>
            : never;

/** The handles of a function's declarations, by name. */
export type HandlesOf<D extends Declarations> = { readonly [K in keyof D]: HandleOf<D[K]> };

// The types of a user's functions were checked where the state was declared; here all values are unknown.
type Reduce = (a: unknown, b: unknown) => unknown;

/** The key whose state the handles show. Handles remember nothing of the one before when `version` moves on. */
export interface BoundKey {
  keys: KeyBatch | null;
  k: number;
  namespace: number;
  version: number;
}

export interface StateHandles<D extends Declarations> {
  /** For timers: the key they belong to is the bound one. */
  readonly bound: BoundKey;
  readonly handles: HandlesOf<D>;
  /** From now on the handles show the state of key `k` of `keys`, valid as long as the batch is. */
  bind(keys: KeyBatch, k: number, namespace?: number): void;
  /** Reads the values of all keys of a batch ahead: a backend over disk then reads them in one go. */
  prefetch(keys: KeyBatch): void;
}

/** Declares the tables of `declarations` and makes their handles. Called once, when the operator is made. */
export function stateHandles<D extends Declarations>(keyed: KeyedState, key: KeyLayout, declarations: D): StateHandles<D> {
  const bound: BoundKey = { keys: null, k: 0, namespace: 0, version: 0 };
  const values: ValueHandle<unknown>[] = [];
  const handles = Object.fromEntries(Object.entries(declarations).map(([name, declaration]) => [name, handleOf(name, declaration)]));
  let slots = new Int32Array(0);

  function handleOf(name: string, declaration: AnyDeclaration): unknown {
    const { schema, options } = declaration;
    const spec = { name, key, value: schema, ...options };
    switch (declaration.kind) {
      case "list":
        return new ListHandle(keyed.multiTable({ ...spec, subKey: "number" }), declaration, bound);
      case "map":
        return new MapHandle(keyed.multiTable({ ...spec, subKey: MapHandle.subKeyKind(declaration.key) }), declaration, bound);
      default: {
        const value = new ValueHandle<unknown>(keyed.table(spec), declaration, bound);
        values.push(value);
        if (declaration.kind === "value") return value;
        return declaration.kind === "reducing"
          ? new ReducingHandle(value, declaration.reduce as Reduce)
          : new AggregatingHandle(value, declaration.aggregator);
      }
    }
  }

  return {
    bound,
    handles: handles as HandlesOf<D>,
    bind(keys, k, namespace = 0) {
      bound.keys = keys;
      bound.k = k;
      bound.namespace = namespace;
      bound.version++;
    },
    prefetch(keys) {
      if (slots.length < keys.count) slots = new Int32Array(keys.count * 2);
      for (const value of values) value.prefetch(keys, slots);
    },
  };
}
