// What a window aggregate is made of, as the planner gives it.
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { AggregateSet } from "../aggregate/aggregate-set.ts";
import type { AggregateCalls } from "../aggregate/call.ts";
import { resolveAggregates } from "../aggregate/resolve.ts";
import type { TriggerSpec } from "./trigger.ts";
import { type BoundsFields, defaultBounds, resultSchema } from "../aggregate/result-schema.ts";
import { hasBounds, type WindowSpec } from "./window-spec.ts";

/**
 * What a window's later firings look like.
 * `append`: every firing is a row of its own. `changelog`: a later firing takes the earlier row back (update-before) and gives
 * the new one (update-after). `upsert`: a later firing gives the new row only, as update-after.
 */
export type FiringMode = "append" | "changelog" | "upsert";

export interface WindowAggregateParams {
  /** The rows of the input; with `partial` those of before the local aggregate. */
  readonly input: Schema;
  /** The key of the input; without fields all rows are one group, on one instance. */
  readonly key: KeyLayout;
  readonly window: WindowSpec;
  readonly calls: AggregateCalls;
  /** Which time places a row: its own (default) or the clock's when it arrives. */
  readonly time?: "event" | "processing";
  /** How long after its end a window still takes rows; each batch of them fires it again. Default 0. */
  readonly latenessMs?: number;
  /** Default: `append` where a window fires once, else `changelog`. */
  readonly firing?: FiringMode;
  /** The side output for rows that are too late, as they came; without it they are dropped and counted. */
  readonly lateOutput?: string;
  /** Default: once, when time passes the window's end. */
  readonly trigger?: TriggerSpec;
  /** The input takes rows back. */
  readonly retracting?: boolean;
  /** The input is what a local aggregate of the same parameters gives. */
  readonly partial?: boolean;
  /** The names of the fields for the window's bounds. */
  readonly bounds?: BoundsFields;
}

/** The aggregates and the result rows of a window aggregate. Throws what `resolveAggregates` and `resultSchema` do. */
export function resolveWindowAggregate(params: WindowAggregateParams): { readonly set: AggregateSet; readonly output: Schema } {
  const set = resolveAggregates(params.input, params.calls, { retracting: params.retracting ?? false });
  const bounds = hasBounds(params.window) ? (params.bounds ?? defaultBounds) : null;
  return { set, output: resultSchema(params.key, bounds, set.results) };
}

/** True where a window gives one result per key and no more. */
export function firesOnce({ window, trigger, latenessMs = 0, time }: WindowAggregateParams): boolean {
  if (window.kind === "count" || trigger?.kind === "purging") return true;
  if (window.kind === "global") return false;
  return (latenessMs === 0 || time === "processing") && (trigger === undefined || trigger.kind === "eventTime");
}

/** What the firings of a window look like where the parameters leave it open. */
export function firingMode(params: WindowAggregateParams): FiringMode {
  return params.firing ?? (firesOnce(params) ? "append" : "changelog");
}
