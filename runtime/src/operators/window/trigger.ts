// Triggers: when a window gives a result, and whether it then forgets its rows.

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
  /** The trigger's own value for this window, stored with it: anything msgpack holds; null at first. */
  state: unknown;
  /** Asks for a call of `onEventTime` when the watermark reaches `timeMs`. */
  registerEventTime(timeMs: number): void;
  /** Asks for a call of `onProcessingTime` when the clock reaches `timeMs`. */
  registerProcessingTime(timeMs: number): void;
}

/**
 * A trigger of the user's own. All it keeps is in `context.state`, so it is restored with the window. Calls may come for times
 * that it did not register, or no longer waits for: it compares. A window of bounds is removed `latenessMs` after its end,
 * whatever its trigger does.
 */
export interface Trigger {
  /** A row was added to the window; `row` is valid during the call. */
  onRow(row: unknown, timeMs: number, context: TriggerContext): TriggerAction;
  onEventTime(timeMs: number, context: TriggerContext): TriggerAction;
  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction;
  /**
   * Session windows became one, before the row that joined them is added: from the state of each (null where there is none)
   * to that of the whole, returned. Needed for session windows; `context.state` is that of the first.
   */
  merge?(states: readonly unknown[], context: TriggerContext): unknown;
}

/** A trigger as plan JSON (`custom` stays with the job's code). */
export type TriggerSpec =
  /** Once, at the window's end; with allowed lateness again for later rows. The default. */
  | { readonly kind: "eventTime" }
  /** Every `intervalMs` of the clock while there are new rows, and at the window's end. */
  | { readonly kind: "processingTime"; readonly intervalMs: number }
  /** Every `intervalMs` of event time, at its multiples, and at the window's end. */
  | { readonly kind: "continuousEventTime"; readonly intervalMs: number }
  /** Every `rows` rows and at no other time. */
  | { readonly kind: "count"; readonly rows: number }
  /** As `of` says, and the window then forgets its rows: each result covers the rows since the one before. */
  | { readonly kind: "purging"; readonly of: TriggerSpec }
  /** Early results every `everyRows` rows or `everyMs` of the clock, then as `eventTime`. */
  | { readonly kind: "early"; readonly everyRows?: number; readonly everyMs?: number }
  | { readonly kind: "custom"; readonly trigger: Trigger };

/** The spec as JSON for a plan. */
export function triggerJson(spec: TriggerSpec): unknown {
  if (spec.kind === "custom") return { kind: "custom" };
  return spec.kind === "purging" ? { kind: "purging", of: triggerJson(spec.of) } : spec;
}
