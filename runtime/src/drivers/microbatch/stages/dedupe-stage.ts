// Deduplication of a stream as a stage.
import { keyLayout } from "../../../core/keys/key-layout.ts";
import type { Plan } from "../../../dataframe/analysis/plan.ts";
import { type DedupeLife, frameDedupe } from "../../../operators/frame/frame-dedupe.ts";
import { firstTime, type StageBuilding } from "./building.ts";
import { planSql } from "./plan-sql.ts";
import type { OperatorStage } from "./stage.ts";

export function dedupeStage(builder: StageBuilding, plan: Extract<Plan, { kind: "dedupe" }>): OperatorStage {
  const { input, columns, withinWatermark } = plan;
  const time = columns.find((name) => input.times.has(name)) ?? firstTime(input);
  const life: DedupeLife =
    withinWatermark && time !== undefined
      ? { kind: "within", withinMs: input.times.get(time) ?? 0 }
      : time !== undefined && columns.includes(time)
        ? { kind: "time" }
        : { kind: "always" };
  const key = keyLayout(input.schema, columns);
  const stage = builder.sql((boundary) => planSql(input, boundary), input.schema, time);
  return {
    kind: "operator",
    ...builder.uidOf(plan.name, "dedupe"),
    operator: "frameDedupe",
    create: frameDedupe({ key, life, dropsLate: time !== undefined }),
    inputs: [stage],
    keys: [key],
    schema: input.schema,
    streaming: plan.streaming,
    options: { columns, life },
    late: "at",
    timed: life.kind !== "always",
    holdsMs: 0,
  };
}
