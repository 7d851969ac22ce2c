// process and coProcess: a user's functions over the rows of one or two keyed streams, with state and timers per key.
import type { Declarations } from "../../core/handles/declarations.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { checkJoinKeys } from "../join/join-keys.ts";
import { type AnyKeyedFunctions, KeyedProcess } from "./keyed-process-operator.ts";
import type { EmitContext, KeyedContext, SideTypes } from "./process-context.ts";

/** A timer that fires. */
export interface Timer {
  readonly time: "event" | "processing";
  /** The time for which it was set, ms. */
  readonly timeMs: number;
}

/** What both kinds declare. */
interface Shared<Out, D extends Declarations, Sides extends SideTypes> {
  readonly output: Schema<Out>;
  readonly sides?: { readonly [Name in keyof Sides]: Schema<Sides[Name]> };
  /** State per key by name, as `state.value(...)` and the others declare it. */
  readonly state?: D;
}

interface SharedFunctions<Key, Out, D extends Declarations, Sides extends SideTypes> {
  /** A timer of the key has come due. */
  onTimer?(timer: Timer, context: KeyedContext<Key, Out, D, Sides>): void;
  /** The input has ended; called once per instance, and no key is at hand. */
  onEnd?(context: EmitContext<Out, Sides>): void;
}

export interface ProcessFunctions<Row, Key, Out, D extends Declarations = {}, Sides extends SideTypes = {}>
  extends SharedFunctions<Key, Out, D, Sides> {
  /** `row` is a view that is valid during the call. */
  onRow(row: Row, context: KeyedContext<Key, Out, D, Sides>): void;
}

export interface ProcessParams<Row = unknown, Key = unknown, Out = unknown, D extends Declarations = {}, Sides extends SideTypes = {}>
  extends Shared<Out, D, Sides> {
  readonly input: Schema<Row>;
  readonly key: KeyLayout;
  readonly functions: ProcessFunctions<Row, Key, Out, D, Sides>;
}

/**
 * A function that throws sends its row (for a timer: the key and the timer) to the dead letters as FUNCTION_FAILED and emits
 * nothing for it; changes it made to state before stay.
 */
export function process<Row, Key, Out, D extends Declarations, Sides extends SideTypes>(
  params: ProcessParams<Row, Key, Out, D, Sides>,
): OperatorFactory {
  const { input, key, functions, ...shared } = params;
  const inputs = [{ schema: input as Schema, key, name: "onRow", onRow: functions.onRow.bind(functions) as AnyKeyedFunctions["onRow"] }];
  return (context) => new KeyedProcess(context, { ...plain(shared), inputs, ...callbacks(functions) });
}

export interface CoProcessFunctions<Left, Right, Key, Out, D extends Declarations = {}, Sides extends SideTypes = {}>
  extends SharedFunctions<Key, Out, D, Sides> {
  onLeft(row: Left, context: KeyedContext<Key, Out, D, Sides>): void;
  onRight(row: Right, context: KeyedContext<Key, Out, D, Sides>): void;
}

export interface CoProcessParams<
  Left = unknown,
  Right = unknown,
  Key = unknown,
  Out = unknown,
  D extends Declarations = {},
  Sides extends SideTypes = {},
> extends Shared<Out, D, Sides> {
  readonly left: Schema<Left>;
  readonly right: Schema<Right>;
  readonly leftKey: KeyLayout;
  readonly rightKey: KeyLayout;
  readonly functions: CoProcessFunctions<Left, Right, Key, Out, D, Sides>;
}

/** Two inputs that share state and timers per key; the key has the names of the left side. Throws JOIN_KEY_MISMATCH. */
export function coProcess<Left, Right, Key, Out, D extends Declarations, Sides extends SideTypes>(
  params: CoProcessParams<Left, Right, Key, Out, D, Sides>,
): OperatorFactory {
  const { left, right, leftKey, rightKey, functions, ...shared } = params;
  checkJoinKeys(leftKey, rightKey);
  const inputs = [
    { schema: left as Schema, key: leftKey, name: "onLeft", onRow: functions.onLeft.bind(functions) as AnyKeyedFunctions["onRow"] },
    { schema: right as Schema, key: rightKey, name: "onRight", onRow: functions.onRight.bind(functions) as AnyKeyedFunctions["onRow"] },
  ];
  return (context) => new KeyedProcess(context, { ...plain(shared), inputs, ...callbacks(functions) });
}

function plain<Out, D extends Declarations, Sides extends SideTypes>({
  output,
  sides,
  state,
}: Shared<Out, D, Sides>): {
  readonly output: Schema;
  readonly sides: Readonly<Record<string, Schema>>;
  readonly state: Declarations;
} {
  return { output: output as Schema, sides: (sides ?? {}) as Readonly<Record<string, Schema>>, state: state ?? {} };
}

function callbacks(functions: { readonly onTimer?: unknown; readonly onEnd?: unknown }): Pick<AnyKeyedFunctions, "onTimer" | "onEnd"> {
  const { onTimer, onEnd } = functions as AnyKeyedFunctions;
  return {
    ...(onTimer === undefined ? {} : { onTimer: onTimer.bind(functions) }),
    ...(onEnd === undefined ? {} : { onEnd: onEnd.bind(functions) }),
  };
}
