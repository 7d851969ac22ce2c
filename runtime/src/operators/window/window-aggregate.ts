// Aggregates over windows: chooses the operator for the window and trigger at hand.
import type { OperatorFactory } from "../../core/operator/operator.ts";
import { PaneWindow } from "./pane-window.ts";
import { resolveWindowAggregate, type WindowAggregateParams } from "./window-params.ts";
import { checkWindow, isAligned } from "./window-spec.ts";

/**
 * Rows of `key, windowStart, windowEnd, results`, with the time just before the window's end.
 * Throws WINDOW_INVALID and what `resolveWindowAggregate` throws, at once.
 */
export function windowAggregate(params: WindowAggregateParams): OperatorFactory {
  const { window, trigger } = params;
  checkWindow(window);
  resolveWindowAggregate(params);
  if (isAligned(window) && (trigger === undefined || trigger.kind === "eventTime"))
    return (context) => new PaneWindow(context, params, window);
  throw new Error("not yet");
}
