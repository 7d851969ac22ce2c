// The logical plan of a DataFrame query: what it says, node by node, before it is analysed.
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Format } from "../../core/ports/format.ts";
import type { Source } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { AggregateExpr, Expr } from "../expression/expr.ts";

/** What becomes of a record that is no row of the source's schema. */
export type MalformedRows = "permissive" | "drop" | "fail";

export interface SourceOptions {
  /** The stable name of the source: its positions are found by it. */
  readonly name: string;
  /**
   * `fail` (default) ends the query at the first bad record, `drop` leaves bad records out and counts them, `permissive` keeps them as
   * rows of nulls, with the record's text in `corruptRecordColumn` where one is named.
   */
  readonly malformed?: MalformedRows;
  readonly corruptRecordColumn?: string;
  /** Adds `_partition`, `_offset`, `_timestamp` and `_key` of each record. */
  readonly metadata?: boolean;
  /** The most records of one batch. */
  readonly maxRecordsPerTrigger?: number;
  /**
   * With executors: where it has fewer splits with records in a batch, what the batch takes of them is divided among at least about so
   * many tasks. For Kafka. Default `minPartitions` of the query.
   */
  readonly minPartitions?: number;
}

export interface SourceRelation {
  readonly kind: "source";
  readonly source: Source;
  readonly format: Format | undefined;
  readonly schema: Schema;
  readonly streaming: boolean;
  readonly options: SourceOptions;
}

export interface NamedExpr {
  readonly name: string;
  readonly expr: Expr;
}

/** What functions with state give, and how their operator is made for the rows of the input. */
export interface TransformShape {
  readonly output: Schema;
  /** By name, what kind of state each is: what a changed query is compared by. */
  readonly state: Readonly<Record<string, string>>;
  create(input: Schema, key: readonly string[]): OperatorFactory;
}

export type JoinType = "inner" | "left" | "right" | "full" | "semi" | "anti";

export interface SortKey {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean | undefined;
}

export type Relation =
  | SourceRelation
  | { readonly kind: "project"; readonly input: Relation; readonly columns: readonly NamedExpr[] }
  /** All columns of the input, with these added or replaced, renamed or left out. */
  | {
      readonly kind: "withColumns";
      readonly input: Relation;
      readonly columns: readonly NamedExpr[];
      readonly renamed: Readonly<Record<string, string>>;
      readonly dropped: readonly string[];
    }
  /** `SELECT` items as SQL text, `*` included. */
  | { readonly kind: "selectSql"; readonly input: Relation; readonly items: readonly string[] }
  | { readonly kind: "filter"; readonly input: Relation; readonly condition: Expr }
  | { readonly kind: "watermark"; readonly input: Relation; readonly column: string; readonly delayMs: number }
  | {
      readonly kind: "aggregate";
      readonly input: Relation;
      readonly keys: readonly NamedExpr[];
      readonly results: readonly NamedExpr[];
      readonly name?: string;
    }
  | {
      readonly kind: "pivot";
      readonly input: Relation;
      readonly keys: readonly NamedExpr[];
      readonly by: string;
      readonly values: readonly (string | number)[];
      readonly results: readonly { readonly name: string; readonly expr: AggregateExpr }[];
    }
  | {
      readonly kind: "join";
      readonly left: Relation;
      readonly right: Relation;
      readonly type: JoinType;
      /** Columns that are equal on both sides and occur once in the result. */
      readonly using: readonly string[];
      readonly condition: Expr | undefined;
      readonly name?: string;
    }
  /** Functions of the user's own over the rows of each key, with state and timers. */
  | {
      readonly kind: "transform";
      readonly input: Relation;
      readonly keys: readonly NamedExpr[];
      readonly shape: TransformShape;
      readonly name?: string;
    }
  | { readonly kind: "union"; readonly inputs: readonly Relation[] }
  /** One row per value of the columns (of all, where none is named). */
  | {
      readonly kind: "dedupe";
      readonly input: Relation;
      readonly columns: readonly string[];
      readonly withinWatermark: boolean;
      readonly name?: string;
    }
  | { readonly kind: "sort"; readonly input: Relation; readonly keys: readonly SortKey[] }
  | { readonly kind: "limit"; readonly input: Relation; readonly count: number }
  /** One row per element of a list. */
  | { readonly kind: "explode"; readonly input: Relation; readonly list: Expr; readonly as: string; readonly outer: boolean }
  /** A whole query in SQL over named views. */
  | { readonly kind: "sql"; readonly text: string; readonly views: ReadonlyMap<string, Relation> };

/** True where some input of the relation is a stream. */
export function isStreaming(relation: Relation): boolean {
  return inputsOf(relation).some(isStreaming) || (relation.kind === "source" && relation.streaming);
}

export function inputsOf(relation: Relation): readonly Relation[] {
  switch (relation.kind) {
    case "source":
      return [];
    case "join":
      return [relation.left, relation.right];
    case "union":
      return relation.inputs;
    case "sql":
      return [...relation.views.values()];
    default:
      return [relation.input];
  }
}
