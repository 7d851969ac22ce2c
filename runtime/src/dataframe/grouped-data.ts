// Rows in groups: what `groupBy` gives, and what aggregates make of it.
import {
  columnsProxy,
  type AggregateColumn,
  type Column,
  type ColumnsOf,
  type NamedColumns,
  type RowOfColumns,
  type WindowColumn,
} from "./expression/column.ts";
import type { Declarations } from "../core/handles/declarations.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import type { Schema } from "../core/schema/schema.ts";
import { process, type ProcessFunctions } from "../operators/process/keyed-process.ts";
import type { AggregateExpr } from "./expression/expr.ts";
import type { NamedExpr, Relation } from "./relation/relation.ts";
import type { DataFrame } from "./data-frame.ts";

type Prettify<T> = { readonly [K in keyof T]: T[K] };
type PlainKeys<C> = { [K in keyof C]: C[K] extends WindowColumn ? never : K }[keyof C];
type WindowKeys<C> = { [K in keyof C]: C[K] extends WindowColumn ? K : never }[keyof C] & string;

/** The fields of a grouping: a window called `w` gives `w_start` and `w_end`. */
export type KeyRow<C extends NamedColumns> = Prettify<
  RowOfColumns<Pick<C, PlainKeys<C>>> & { readonly [K in `${WindowKeys<C>}_${"start" | "end"}`]: number }
>;

/** Makes a DataFrame; handed in because DataFrames make these objects. */
export type MakeFrame = <Row>(relation: Relation) => DataFrame<Row>;

export interface AggregateOptions {
  /** The stable name of the aggregate: its state is found by it. */
  readonly name?: string;
}

export function namedExprs(columns: NamedColumns): readonly NamedExpr[] {
  return Object.entries(columns).map(([name, column]) => ({ name, expr: column.expr }));
}

export class GroupedData<Row, Keys> {
  readonly #input: Relation;
  readonly #keys: readonly NamedExpr[];
  readonly #make: MakeFrame;

  constructor(input: Relation, keys: readonly NamedExpr[], make: MakeFrame) {
    this.#input = input;
    this.#keys = keys;
    this.#make = make;
  }

  /** One row per group: its keys and the results, which may be computed from aggregates. */
  agg<C extends Readonly<Record<string, Column>>>(
    make: (columns: ColumnsOf<Row>) => C,
    options: AggregateOptions = {},
  ): DataFrame<Prettify<Keys & RowOfColumns<C>>> {
    const results = namedExprs(make(columnsProxy<Row>()));
    return this.#make({ kind: "aggregate", input: this.#input, keys: this.#keys, results, ...options });
  }

  /** How many rows each group has, in column `count`. */
  count(): DataFrame<Prettify<Keys & { readonly count: number }>> {
    const results = [{ name: "count", expr: { kind: "aggregate", name: "count", args: [] } as const }];
    return this.#make({ kind: "aggregate", input: this.#input, keys: this.#keys, results });
  }

  /**
   * Functions of one's own over the rows of each group, with state, timers and time to live per key, as a dataflow job's `process`.
   * Rows are given out as they are emitted; timers of event time fire when the watermark has reached them. Rows behind the watermark
   * come too: `context.watermark` tells.
   */
  transformWithState<Out, D extends Declarations = {}>(
    functions: ProcessFunctions<Row, Keys, Out, D>,
    shape: { readonly output: Schema<Out>; readonly state?: D; readonly name?: string },
  ): DataFrame<Out> {
    const { output, state, name } = shape;
    return this.#make({
      kind: "transform",
      input: this.#input,
      keys: this.#keys,
      shape: {
        output: output as Schema,
        state: Object.fromEntries(Object.entries(state ?? {}).map(([each, declared]) => [each, declared.kind])),
        create: (input, key) =>
          process({
            input: input as Schema<Row>,
            key: keyLayout(input, key),
            functions,
            output,
            ...(state === undefined ? {} : { state }),
          }),
      },
      ...(name === undefined ? {} : { name }),
    });
  }

  /** Batches only: one column per value of `by`, which holds the aggregate over the group's rows with that value. */
  pivot<V extends string | number>(by: keyof Row & string, values: readonly V[]): PivotedData<Row, Keys, V> {
    return new PivotedData(this.#input, this.#keys, by, values, this.#make);
  }
}

export class PivotedData<Row, Keys, V extends string | number> {
  readonly #input: Relation;
  readonly #keys: readonly NamedExpr[];
  readonly #by: string;
  readonly #values: readonly V[];
  readonly #make: MakeFrame;

  constructor(input: Relation, keys: readonly NamedExpr[], by: string, values: readonly V[], make: MakeFrame) {
    this.#input = input;
    this.#keys = keys;
    this.#by = by;
    this.#values = values;
    this.#make = make;
  }

  /** One aggregate per value, null where a group has no row with it. */
  agg<T>(make: (columns: ColumnsOf<Row>) => AggregateColumn<T>): DataFrame<Prettify<Keys & { readonly [K in `${V}`]: T | null }>> {
    const expr = make(columnsProxy<Row>()).expr as AggregateExpr;
    return this.#make({
      kind: "pivot",
      input: this.#input,
      keys: this.#keys,
      by: this.#by,
      values: this.#values,
      results: this.#values.map((value) => ({ name: String(value), expr })),
    });
  }
}
