// The triggers that come with the engine.
import { MillraceError } from "../../base/errors.ts";
import type { Trigger, TriggerAction, TriggerContext, TriggerSpec } from "./trigger.ts";

/** The trigger of a spec. Throws TRIGGER_INVALID for one that cannot be, or that cannot merge where sessions need it. */
export function triggerOf(spec: TriggerSpec, mergesWindows: boolean): Trigger {
  const trigger = make(spec);
  if (mergesWindows && trigger.merge === undefined) {
    invalid(spec.kind, "it cannot follow session windows that become one", "give it a merge function, or use another window");
  }
  return trigger;
}

function make(spec: TriggerSpec): Trigger {
  switch (spec.kind) {
    case "eventTime":
      return new EndTrigger();
    case "processingTime":
      return new EarlyTrigger(Infinity, positive(spec.kind, "intervalMs", spec.intervalMs));
    case "continuousEventTime":
      return new ContinuousTrigger(positive(spec.kind, "intervalMs", spec.intervalMs));
    case "count":
      return new CountTrigger(positive(spec.kind, "rows", spec.rows));
    case "purging":
      return new PurgingTrigger(make(spec.of));
    case "early":
      if (spec.everyRows === undefined && spec.everyMs === undefined) invalid(spec.kind, "it says no interval", "set everyRows or everyMs");
      return new EarlyTrigger(
        spec.everyRows === undefined ? Infinity : positive(spec.kind, "everyRows", spec.everyRows),
        spec.everyMs === undefined ? Infinity : positive(spec.kind, "everyMs", spec.everyMs),
      );
    case "custom":
      return spec.trigger;
  }
}

function positive(kind: string, name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) invalid(kind, `its ${name} is ${value}`, "give a positive whole number");
  return value;
}

function invalid(kind: string, problem: string, next: string): never {
  throw new MillraceError("TRIGGER_INVALID", `${kind} trigger`, problem, next);
}

/** The time at which a window's end is reached: its last instant in event time, the end itself on the clock. */
function endOf({ window, time }: TriggerContext): number {
  return time === "event" ? window.endMs - 1 : window.endMs;
}

function reached(context: TriggerContext): number {
  return context.time === "event" ? context.watermarkMs : context.nowMs;
}

function register(context: TriggerContext, timeMs: number): void {
  if (context.time === "event") context.registerEventTime(timeMs);
  else context.registerProcessingTime(timeMs);
}

/**
 * Keeps one timer for the end of a window that may grow: `armedMs` is its time. When a session grows, the timer is left alone
 * and set again when it comes: a timer per session, not per row. `afterMs` is the time reached, or that of the timer that is being
 * served: time may have jumped over the new end too, and then it is served next. Returns the new time to keep.
 */
function arm(context: TriggerContext, armedMs: number | null, afterMs: number): number {
  const end = endOf(context);
  if (armedMs !== null && armedMs > afterMs) return armedMs;
  if (end !== Infinity && end > afterMs) register(context, end);
  return end;
}

/** True where a timer of this kind and time is the one for the window's end, and the end has come. */
function ends(context: TriggerContext, armedMs: number | null, timeMs: number): boolean {
  return timeMs === armedMs && endOf(context) <= timeMs;
}

/** State: the time of the timer for the end. */
class EndTrigger implements Trigger {
  onRow(_row: unknown, _timeMs: number, context: TriggerContext): TriggerAction {
    const armed = context.state as number | null;
    context.state = arm(context, armed, reached(context));
    return endOf(context) <= reached(context) ? "fire" : "continue";
  }

  #onTime(timeMs: number, context: TriggerContext): TriggerAction {
    const armed = context.state as number | null;
    if (timeMs !== armed) return "continue";
    if (ends(context, armed, timeMs)) return "fire";
    context.state = arm(context, armed, timeMs);
    return "continue";
  }

  onEventTime(timeMs: number, context: TriggerContext): TriggerAction {
    return context.time === "event" ? this.#onTime(timeMs, context) : "continue";
  }

  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction {
    return context.time === "processing" ? this.#onTime(timeMs, context) : "continue";
  }

  merge(states: readonly unknown[]): unknown {
    return states[0];
  }
}

interface EarlyState {
  readonly armed: number | null;
  /** Rows since the last firing. */
  readonly rows: number;
  /** When the clock fires next; null while there are no new rows. */
  readonly nextMs: number | null;
}

const noEarlyState: EarlyState = { armed: null, rows: 0, nextMs: null };

class EarlyTrigger implements Trigger {
  readonly #everyRows: number;
  readonly #everyMs: number;

  constructor(everyRows: number, everyMs: number) {
    this.#everyRows = everyRows;
    this.#everyMs = everyMs;
  }

  onRow(_row: unknown, _timeMs: number, context: TriggerContext): TriggerAction {
    const state = (context.state as EarlyState | null) ?? noEarlyState;
    const armed = arm(context, state.armed, reached(context));
    const rows = state.rows + 1;
    if (endOf(context) <= reached(context) || rows >= this.#everyRows) {
      context.state = { armed, rows: 0, nextMs: null } satisfies EarlyState;
      return "fire";
    }
    let { nextMs } = state;
    if (nextMs === null && this.#everyMs !== Infinity) {
      nextMs = context.nowMs + this.#everyMs;
      context.registerProcessingTime(nextMs);
    }
    context.state = { armed, rows, nextMs } satisfies EarlyState;
    return "continue";
  }

  #onTime(timeMs: number, context: TriggerContext, isEndTime: boolean): TriggerAction {
    const state = (context.state as EarlyState | null) ?? noEarlyState;
    if (isEndTime && timeMs === state.armed) {
      if (!ends(context, state.armed, timeMs)) {
        context.state = { ...state, armed: arm(context, state.armed, timeMs) } satisfies EarlyState;
        return "continue";
      }
      context.state = { ...state, rows: 0, nextMs: null } satisfies EarlyState;
      // What went out early stands, unless there were rows since.
      return state.rows > 0 ? "fire" : "continue";
    }
    if (isEndTime && context.time === "event") return "continue";
    if (timeMs !== state.nextMs) return "continue";
    context.state = { ...state, rows: 0, nextMs: null } satisfies EarlyState;
    return "fire";
  }

  onEventTime(timeMs: number, context: TriggerContext): TriggerAction {
    return context.time === "event" ? this.#onTime(timeMs, context, true) : "continue";
  }

  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction {
    return this.#onTime(timeMs, context, context.time === "processing");
  }

  merge(states: readonly unknown[]): unknown {
    const parts = states.map((state) => (state as EarlyState | null) ?? noEarlyState);
    const first = parts[0] ?? noEarlyState;
    // The clock's timers of the others are gone with them: the row that follows sets one where it is missing.
    return { ...first, rows: parts.reduce((sum, part) => sum + part.rows, 0) } satisfies EarlyState;
  }
}

interface ContinuousState {
  readonly armed: number | null;
  readonly nextMs: number | null;
}

class ContinuousTrigger implements Trigger {
  readonly #intervalMs: number;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  #next(afterMs: number): number {
    return Math.floor(afterMs / this.#intervalMs) * this.#intervalMs + this.#intervalMs;
  }

  onRow(_row: unknown, timeMs: number, context: TriggerContext): TriggerAction {
    const state = (context.state as ContinuousState | null) ?? { armed: null, nextMs: null };
    const armed = arm(context, state.armed, reached(context));
    let { nextMs } = state;
    if (nextMs === null || nextMs <= context.watermarkMs) {
      nextMs = this.#next(Math.max(timeMs, context.watermarkMs));
      context.registerEventTime(nextMs);
    }
    context.state = { armed, nextMs } satisfies ContinuousState;
    return endOf(context) <= reached(context) ? "fire" : "continue";
  }

  onEventTime(timeMs: number, context: TriggerContext): TriggerAction {
    const state = context.state as ContinuousState | null;
    if (state === null) return "continue";
    let { armed, nextMs } = state;
    let action: TriggerAction = "continue";
    if (context.time === "event" && timeMs === armed) {
      if (ends(context, armed, timeMs)) action = "fire";
      else armed = arm(context, armed, timeMs);
    }
    if (timeMs === nextMs) {
      action = "fire";
      // One firing, however many intervals time has jumped over; none after the end.
      nextMs = this.#next(Math.max(timeMs, context.watermarkMs));
      // A session may still grow: then a row sets it anew.
      if (nextMs < context.window.endMs) context.registerEventTime(nextMs);
      else nextMs = null;
    }
    context.state = { armed, nextMs } satisfies ContinuousState;
    return action;
  }

  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction {
    const state = context.state as ContinuousState | null;
    if (state === null || context.time === "event" || timeMs !== state.armed) return "continue";
    if (ends(context, state.armed, timeMs)) return "fire";
    context.state = { ...state, armed: arm(context, state.armed, timeMs) } satisfies ContinuousState;
    return "continue";
  }

  merge(states: readonly unknown[]): unknown {
    return states[0];
  }
}

/** State: rows since the last firing. */
class CountTrigger implements Trigger {
  readonly #rows: number;

  constructor(rows: number) {
    this.#rows = rows;
  }

  onRow(_row: unknown, _timeMs: number, context: TriggerContext): TriggerAction {
    const rows = ((context.state as number | null) ?? 0) + 1;
    context.state = rows >= this.#rows ? 0 : rows;
    return rows >= this.#rows ? "fire" : "continue";
  }

  onEventTime(): TriggerAction {
    return "continue";
  }

  onProcessingTime(): TriggerAction {
    return "continue";
  }

  merge(states: readonly unknown[]): unknown {
    return states.reduce((sum: number, state) => sum + ((state as number | null) ?? 0), 0);
  }
}

class PurgingTrigger implements Trigger {
  readonly #of: Trigger;
  readonly merge?: NonNullable<Trigger["merge"]>;

  constructor(of: Trigger) {
    this.#of = of;
    if (of.merge !== undefined) this.merge = (states, context) => of.merge?.(states, context);
  }

  onRow(row: unknown, timeMs: number, context: TriggerContext): TriggerAction {
    return purging(this.#of.onRow(row, timeMs, context));
  }

  onEventTime(timeMs: number, context: TriggerContext): TriggerAction {
    return purging(this.#of.onEventTime(timeMs, context));
  }

  onProcessingTime(timeMs: number, context: TriggerContext): TriggerAction {
    return purging(this.#of.onProcessingTime(timeMs, context));
  }
}

function purging(action: TriggerAction): TriggerAction {
  return action === "fire" ? "fireAndPurge" : action;
}
