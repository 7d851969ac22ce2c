// Aggregates over windows: chooses the operator for the window and trigger at hand.
import { MillraceError } from "../../base/errors.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import { AggregateContent } from "./aggregate-content.ts";
import { triggerOf } from "./builtin-triggers.ts";
import { CountWindowOperator } from "./count-window.ts";
import { KeyedWindow } from "./keyed-window.ts";
import { PaneWindow } from "./pane-window.ts";
import { resolveWindowAggregate, type WindowAggregateParams } from "./window-params.ts";
import { checkWindow, isAligned } from "./window-spec.ts";

/**
 * Rows of `key, windowStart, windowEnd, results`, with the time just before the window's end.
 * Throws WINDOW_INVALID and what `resolveWindowAggregate` throws, at once.
 */
export function windowAggregate(params: WindowAggregateParams): OperatorFactory {
  const { window, trigger, partial } = params;
  checkWindow(window);
  resolveWindowAggregate(params);
  if (isAligned(window) && (trigger === undefined || trigger.kind === "eventTime"))
    return (context) => new PaneWindow(context, params, window);
  if (partial === true) {
    throw new MillraceError(
      "WINDOW_INVALID",
      `${window.kind} window`,
      "it cannot take partial results",
      "leave out the local aggregate: it serves aligned windows that fire at their end",
    );
  }
  if (window.kind === "count") return (context) => new CountWindowOperator(context, params, window);
  if (window.kind === "global" && trigger === undefined) {
    throw new MillraceError(
      "WINDOW_INVALID",
      "global window",
      "without a trigger it never gives a result",
      'set a trigger, such as { kind: "count", rows: 100 }',
    );
  }
  triggerOf(trigger ?? { kind: "eventTime" }, window.kind === "session");
  return (context) => new KeyedWindow(context, { ...params, window }, new AggregateContent(context, params));
}
