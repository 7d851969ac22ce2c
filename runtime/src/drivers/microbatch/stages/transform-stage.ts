// Functions of the user's own with state, as a stage.
import { keyLayout } from "../../../core/keys/key-layout.ts";
import type { Plan } from "../../../dataframe/analysis/plan.ts";
import { firstTime, type StageBuilding } from "./building.ts";
import { planSql } from "./plan-sql.ts";
import type { OperatorStage } from "./stage.ts";

export function transformStage(builder: StageBuilding, plan: Extract<Plan, { kind: "transform" }>): OperatorStage {
  const { input, keys, shape, name } = plan;
  const stage = builder.sql((boundary) => planSql(input, boundary), input.schema, firstTime(input));
  return {
    kind: "operator",
    ...builder.uidOf(name, "transform"),
    operator: "process",
    create: shape.create(stage.schema, keys),
    inputs: [stage],
    keys: [keyLayout(stage.schema, keys)],
    schema: shape.output,
    streaming: plan.streaming,
    options: { keys, state: shape.state },
    late: "at",
    // Its timers may wait for event time.
    timed: input.times.size > 0,
    holdsMs: 0,
  };
}
