// An aggregate as a stage: accumulators from the kernel where it can make them, state in the core's frame aggregate or session window.
import { keyLayout } from "../../../core/keys/key-layout.ts";
import { Schema } from "../../../core/schema/schema.ts";
import { timestamp } from "../../../core/schema/field.ts";
import type { AggregatePlan } from "../../../dataframe/analysis/plan.ts";
import { renderExpr } from "../../../dataframe/analysis/render.ts";
import { aggregatesJson } from "../../../operators/aggregate/resolve.ts";
import { countSpec } from "../../../operators/aggregate/count.ts";
import { frameAggregate, type FrameAggregateParams, frameBound, resolveFrameAggregate } from "../../../operators/frame/frame-aggregate.ts";
import { windowAggregate } from "../../../operators/window/window-aggregate.ts";
import type { WindowAggregateParams } from "../../../operators/window/window-params.ts";
import { canBePartial, castTo, partialSql, rowsSql } from "./aggregate-sql.ts";
import type { StageBuilding } from "./building.ts";
import { type Boundary, planSql } from "./plan-sql.ts";
import type { OperatorStage } from "./stage.ts";

function inputOf(plan: AggregatePlan, boundary: Boundary): string {
  const table = boundary(plan.input);
  return table === undefined ? `(${planSql(plan.input, boundary)}) AS t` : `"${table}" AS t`;
}

export function aggregateStage(builder: StageBuilding, plan: AggregatePlan): OperatorStage {
  if (plan.session !== undefined) return sessionStage(builder, plan, plan.session);
  const { prepared, life } = plan;
  const partial = canBePartial(prepared.calls);
  const params: FrameAggregateParams = {
    input: new Schema({ ...prepared.schema.spec, [frameBound]: countSpec }),
    key: plan.keys.map(({ name }) => name),
    life,
    calls: prepared.calls,
    mode: plan.streaming ? builder.mode : "append",
    partial,
  };
  const { input, output, set, key } = resolveFrameAggregate(params);
  const stage = builder.sql(
    (boundary) => {
      const from = inputOf(plan, boundary);
      return partial ? partialSql(plan, from, set.accumulators) : rowsSql(plan, from);
    },
    input,
    undefined,
  );
  return {
    kind: "operator",
    ...builder.uidOf(plan.name, "aggregate"),
    operator: "frameAggregate",
    create: frameAggregate(params),
    inputs: [stage],
    keys: [key],
    schema: output,
    streaming: plan.streaming,
    options: {
      keys: plan.keys.map(({ name, expr }) => ({ name, expr: renderExpr(expr) })),
      life: life.kind === "time" ? { kind: life.kind, field: life.field } : life,
      ...(plan.window === undefined ? {} : { slideMs: plan.window.slideMs, offsetMs: plan.window.offsetMs }),
      aggregates: aggregatesJson(prepared.calls),
    },
    late: life.kind === "window" ? "before" : "at",
    timed: plan.bounded && params.mode !== "complete",
    holdsMs: 0,
  };
}

const timeName = "time$";

function sessionStage(builder: StageBuilding, plan: AggregatePlan, session: NonNullable<AggregatePlan["session"]>): OperatorStage {
  const { prepared } = plan;
  const input = new Schema({ ...prepared.schema.spec, [timeName]: timestamp().nullable().spec });
  const stage = builder.sql(
    (boundary) => {
      const columns = prepared.columns.map(({ name, expr }) => `${castTo(renderExpr(expr), prepared.schema, name)} AS "${name}"`);
      const time = renderExpr(session.time);
      return `SELECT ${[...columns, `CAST(${time} AS TIMESTAMP) AS "${timeName}"`].join(", ")} FROM ${inputOf(plan, boundary)} WHERE ${time} IS NOT NULL`;
    },
    input,
    timeName,
  );
  const [start, end] = plan.schema.fields.map(({ name }) => name) as [string, string];
  const params: WindowAggregateParams = {
    input,
    key: keyLayout(
      input,
      plan.keys.map(({ name }) => name),
    ),
    window: { kind: "session", gapMs: session.gapMs },
    calls: prepared.calls,
    bounds: { start, end },
  };
  return {
    kind: "operator",
    ...builder.uidOf(plan.name, "session"),
    operator: "window",
    create: windowAggregate(params),
    inputs: [stage],
    keys: [params.key],
    // The window gives the key first; the names are the same.
    schema: new Schema(
      Object.fromEntries(
        [...plan.keys.map(({ name }) => name), start, end, ...plan.aggregates.map(({ name }) => name)].map((name) => [
          name,
          plan.schema.field(name).spec,
        ]),
      ),
    ),
    streaming: plan.streaming,
    options: {
      keys: plan.keys.map(({ name, expr }) => ({ name, expr: renderExpr(expr) })),
      session: session.gapMs,
      aggregates: aggregatesJson(prepared.calls),
    },
    late: "before",
    timed: true,
    holdsMs: 0,
  };
}
