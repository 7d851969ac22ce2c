// The analysed plan of a query: every column known, every expression resolved and typed.
import type { Schema } from "../../core/schema/schema.ts";
import type { AggregateCalls } from "../../operators/aggregate/call.ts";
import type { GroupLife } from "../../operators/frame/group-life.ts";
import type { AggregateExpr, Expr, UdfExpr } from "../expression/expr.ts";
import type { JoinType, NamedExpr, SortKey, SourceRelation, TransformShape } from "../relation/relation.ts";

interface Node {
  readonly schema: Schema;
  readonly streaming: boolean;
  /** Columns that hold event time under a watermark, with the delay that was declared, ms. */
  readonly times: ReadonlyMap<string, number>;
}

/** A join's condition, taken apart. */
export interface JoinCondition {
  /** What must be equal: an expression over the left rows and one over the right rows. */
  readonly equal: readonly { readonly left: Expr; readonly right: Expr }[];
  /** How far apart the event times may be: the right one less the left one is within [lower, upper]. */
  readonly timeBound:
    | { readonly leftTime: string; readonly rightTime: string; readonly lowerMs: number; readonly upperMs: number }
    | undefined;
  /** What else must hold; columns have their side. */
  readonly rest: Expr | undefined;
}

/** How rows find their window: an expression for the time, and windows of one size every slide. */
export interface WindowKey {
  readonly time: Expr;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
}

export interface AggregatePlan extends Node {
  readonly kind: "aggregate";
  readonly input: Plan;
  readonly life: GroupLife;
  readonly window: WindowKey | undefined;
  /** For `life` of kind `session`-like windows: the gap, ms. */
  readonly session: { readonly time: Expr; readonly gapMs: number } | undefined;
  /** The keys besides what bounds the group's life. */
  readonly keys: readonly NamedExpr[];
  /** The time column that bounds the group's life, where there is one and no window. */
  readonly timeKey: NamedExpr | undefined;
  readonly aggregates: readonly { readonly name: string; readonly expr: AggregateExpr }[];
  readonly name: string | undefined;
  /** True where a watermark bounds the groups' lives. */
  readonly bounded: boolean;
  /** The columns that keys, bound and arguments of aggregates become before the aggregation, and the calls over them. */
  readonly prepared: PreparedAggregate;
}

export interface PreparedAggregate {
  /** Keys, then the arguments. */
  readonly columns: readonly NamedExpr[];
  readonly schema: Schema;
  readonly calls: AggregateCalls;
}

export type Plan =
  | (Node & { readonly kind: "scan"; readonly relation: SourceRelation })
  | (Node & { readonly kind: "project"; readonly input: Plan; readonly columns: readonly NamedExpr[] })
  | (Node & { readonly kind: "udf"; readonly input: Plan; readonly calls: readonly UdfCall[] })
  | (Node & { readonly kind: "filter"; readonly input: Plan; readonly condition: Expr })
  | (Node & { readonly kind: "watermark"; readonly input: Plan; readonly column: string; readonly delayMs: number })
  | AggregatePlan
  | (Node & {
      readonly kind: "join";
      readonly left: Plan;
      readonly right: Plan;
      readonly type: JoinType;
      readonly using: readonly string[];
      readonly condition: JoinCondition;
      readonly name: string | undefined;
    })
  | (Node & {
      readonly kind: "transform";
      readonly input: Plan;
      readonly keys: readonly string[];
      readonly shape: TransformShape;
      readonly name: string | undefined;
    })
  | (Node & { readonly kind: "union"; readonly inputs: readonly Plan[] })
  | (Node & {
      readonly kind: "dedupe";
      readonly input: Plan;
      readonly columns: readonly string[];
      readonly withinWatermark: boolean;
      readonly name: string | undefined;
    })
  | (Node & { readonly kind: "sort"; readonly input: Plan; readonly keys: readonly SortKey[] })
  | (Node & { readonly kind: "limit"; readonly input: Plan; readonly count: number })
  | (Node & { readonly kind: "explode"; readonly input: Plan; readonly list: Expr; readonly as: string; readonly outer: boolean });

/** A function of the user's own over columns of the input; the result is a column more. */
export interface UdfCall {
  readonly as: string;
  readonly udf: UdfExpr;
  readonly args: readonly string[];
}

export function planInputs(plan: Plan): readonly Plan[] {
  switch (plan.kind) {
    case "scan":
      return [];
    case "join":
      return [plan.left, plan.right];
    case "union":
      return plan.inputs;
    default:
      return [plan.input];
  }
}

/** All nodes, inputs before what they feed. */
export function planNodes(plan: Plan): readonly Plan[] {
  return [...planInputs(plan).flatMap(planNodes), plan];
}
