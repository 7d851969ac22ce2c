// A join of two streams as a stage: by time bounds in the core's interval join, without any in its regular join.
import { MillraceError } from "../../../base/errors.ts";
import { keyLayout } from "../../../core/keys/key-layout.ts";
import { Schema } from "../../../core/schema/schema.ts";
import type { FieldSpec } from "../../../core/schema/type-spec.ts";
import type { Expr } from "../../../dataframe/expression/expr.ts";
import type { Plan } from "../../../dataframe/analysis/plan.ts";
import { renderExpr } from "../../../dataframe/analysis/render.ts";
import { quoted, sqlTypeOf } from "../../../dataframe/analysis/sql-types.ts";
import { intervalJoin } from "../../../operators/join/interval-join.ts";
import type { JoinField } from "../../../operators/join/join-output.ts";
import { regularJoin } from "../../../operators/join/regular-join.ts";
import { firstTime, type StageBuilding } from "./building.ts";
import { planSql } from "./plan-sql.ts";
import type { OperatorStage, SqlStage } from "./stage.ts";

type JoinPlan = Extract<Plan, { kind: "join" }>;

/** Bounds of a join that are not given: so far apart that nothing is excluded. */
const unbounded = 2 ** 52;

export function joinStage(builder: StageBuilding, plan: JoinPlan): OperatorStage {
  const { type, condition, using } = plan;
  const keys = condition.equal.map(({ left, right }, index) => keyPair(plan, left, right, index));
  const left = side(
    builder,
    plan.left,
    keys.map((key) => key.left),
    condition.timeBound?.leftTime,
    type === "left" || type === "full" || type === "anti",
  );
  const right = side(
    builder,
    plan.right,
    keys.map((key) => key.right),
    condition.timeBound?.rightTime,
    type === "right" || type === "full",
  );
  const names = keys.map((_key, index) => `key$${index}`);
  const fields = plan.schema.fields.map(({ name }): JoinField => {
    const fromRight = plan.left.schema.find(name) === undefined || (using.includes(name) && type === "right");
    return { side: fromRight ? "right" : "left", from: name, to: name };
  });
  if (type === "full" && using.length > 0) {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      "a full join of two streams by columns of one name",
      "is not possible yet",
      "rename them on one side and give a condition",
    );
  }
  const sides = {
    left: left.schema,
    right: right.schema,
    output: plan.schema,
    select: { kind: "fields", fields } as const,
    leftKey: keyLayout(left.schema, names),
    rightKey: keyLayout(right.schema, names),
    type,
  };
  const { timeBound } = condition;
  const lowerMs = Math.max(timeBound?.lowerMs ?? -Infinity, -unbounded);
  const upperMs = Math.min(timeBound?.upperMs ?? Infinity, unbounded);
  const bounded = timeBound !== undefined && lowerMs > -unbounded && upperMs < unbounded;
  if (timeBound !== undefined && !bounded) {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      "a join of two streams that is bounded in time on one side only",
      "would keep all rows of one side for ever",
      "bound the times from both sides, or from neither",
    );
  }
  return {
    kind: "operator",
    ...builder.uidOf(plan.name, "join"),
    operator: bounded ? "intervalJoin" : "regularJoin",
    create: bounded ? intervalJoin({ ...sides, lowerMs, upperMs }) : regularJoin(sides),
    inputs: [left, right],
    keys: [sides.leftKey, sides.rightKey],
    schema: plan.schema,
    streaming: plan.streaming,
    options: {
      type,
      on: condition.equal.map((pair) => [renderExpr(pair.left), renderExpr(pair.right)]),
      ...(bounded ? { lowerMs, upperMs } : {}),
    },
    late: "at",
    timed: bounded,
    holdsMs: bounded ? Math.max(Math.abs(lowerMs), Math.abs(upperMs)) : 0,
  };
}

interface KeyPair {
  readonly left: { readonly name: string; readonly expr: Expr; readonly spec: FieldSpec };
  readonly right: { readonly name: string; readonly expr: Expr; readonly spec: FieldSpec };
}

// Both sides of a key have one type and may be null, so that equal values have equal bytes.
function keyPair(plan: JoinPlan, left: Expr, right: Expr, index: number): KeyPair {
  const typeOf = (expr: Expr, schema: Schema): FieldSpec | undefined => (expr.kind === "column" ? schema.find(expr.name)?.spec : undefined);
  const l = typeOf(left, plan.left.schema);
  const r = typeOf(right, plan.right.schema);
  if (l === undefined || r === undefined || JSON.stringify(l.type) !== JSON.stringify(r.type)) {
    throw new MillraceError(
      "DATAFRAME_JOIN",
      "join of two streams",
      `${renderExpr(left)} and ${renderExpr(right)} are not two columns of one type`,
      "make columns of one type with withColumn and cast, and join by them",
    );
  }
  if (plan.type === "full" && (l.nullable || r.nullable)) {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      "a full join of two streams by columns that may be null",
      "is not possible: rows without a key on both sides would find each other",
      "make them not null with coalesce, or filter such rows first",
    );
  }
  const name = `key$${index}`;
  const spec: FieldSpec = { type: l.type, nullable: l.nullable || r.nullable, optional: false, aliases: [] };
  return { left: { name, expr: left, spec }, right: { name, expr: right, spec } };
}

function side(
  builder: StageBuilding,
  plan: Plan,
  keys: readonly { readonly name: string; readonly expr: Expr; readonly spec: FieldSpec }[],
  timeField: string | undefined,
  keeps: boolean,
): SqlStage {
  // Null equals nothing, so where unmatched rows are not kept, rows without a key need not come.
  const present = keeps ? "" : ` WHERE ${keys.map(({ expr }) => `${renderExpr(expr)} IS NOT NULL`).join(" AND ")}`;
  const schema = new Schema({ ...plan.schema.spec, ...Object.fromEntries(keys.map(({ name, spec }) => [name, spec])) });
  const items = keys.map(({ name, expr, spec }) => `CAST(${renderExpr(expr)} AS ${sqlTypeOf(spec.type, name)}) AS ${quoted(name)}`);
  return builder.sql(
    (boundary) => `SELECT *, ${items.join(", ")} FROM (${planSql(plan, boundary)}) AS t${present}`,
    schema,
    timeField ?? firstTime(plan),
  );
}
