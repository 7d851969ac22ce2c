// Triggers: when a window gives a result.
import type { RowView } from "../../core/batch/row-view.ts";

/** What a trigger wants: nothing; a result; the rows forgotten; both, in this order. */
export type TriggerAction = "continue" | "fire" | "purge" | "fireAndPurge";

export interface TriggerWindow {
  /** -Infinity and Infinity for the global window. */
  readonly startMs: number;
  readonly endMs: number;
}

/** What a trigger sees of one window of one key. */
export interface TriggerContext {
  readonly window: TriggerWindow;
  /** Which time places rows in windows. */
  readonly time: "event" | "processing";
  readonly watermarkMs: number;
  readonly nowMs: number;
  /** The trigger's own value for this window, stored with it: anything msgpack holds; null at first and after `clear`. */
  state: unknown;
  /** Asks for a call of `onEventTime` when the watermark reaches `timeMs`. */
  registerEventTime(timeMs: number): void;
  /** Asks for a call of `onProcessingTime` when the clock reaches `timeMs`. */
  registerProcessingTime(timeMs: number): void;
}

/**
 * A trigger of the user's own. All it keeps is in `context.state`, so it is restored with the window. Calls may come for times
 * that it did not register, or no longer waits for: it compares.
 */
export interface Trigger {
  /** A row was added to the window; `row` is valid during the call. */
  onRow(row: unknown, timeMs: number, context: TriggerContext): TriggerAction;
  onEventTime(timeMs: number, context: TriggerContext): TriggerAction;
  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction;
  /** Session windows became one: from the state of each (null where there is none) to that of the whole. Needed for sessions. */
  onMerge?(states: readonly unknown[], context: TriggerContext): TriggerAction;
}

/** A trigger as plan JSON (`custom` stays with the job's code). */
export type TriggerSpec =
  | { readonly kind: "eventTime" }
  | { readonly kind: "processingTime"; readonly intervalMs: number }
  | { readonly kind: "continuousEventTime"; readonly intervalMs: number }
  | { readonly kind: "count"; readonly rows: number }
  | { readonly kind: "purging"; readonly of: TriggerSpec }
  | { readonly kind: "early"; readonly everyRows?: number; readonly everyMs?: number }
  | { readonly kind: "custom"; readonly trigger: Trigger };

/** A row as a trigger sees it. */
export type TriggerRow = RowView;
