// What the stages of operators may ask of the builder of stages.
import type { Schema } from "../../../core/schema/schema.ts";
import type { Plan } from "../../../dataframe/analysis/plan.ts";
import type { OutputMode } from "../../../operators/frame/frame-aggregate.ts";
import type { Boundary } from "./plan-sql.ts";
import type { SqlStage } from "./stage.ts";

export interface StageBuilding {
  readonly mode: OutputMode;
  /** A query whose text `write` makes; the nodes that it meets at its bounds become tables. */
  sql(write: (boundary: Boundary) => string, schema: Schema, timeField: string | undefined): SqlStage;
  /** The stable name of an operator with state: the query's, or one derived from its place. */
  uidOf(name: string | undefined, kind: string): { readonly uid: string; readonly uidDerived: boolean };
}

/** The event-time column of rows; where they have several, the first. */
export function firstTime(plan: Plan): string | undefined {
  return [...plan.times.keys()].find((name) => plan.schema.find(name) !== undefined);
}
