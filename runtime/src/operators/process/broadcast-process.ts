// broadcastProcess: a stream, keyed or not, whose rows meet state that a second, broadcast stream keeps the same on every instance.
import { type Batch, noTime, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { Declarations } from "../../core/handles/declarations.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { type BroadcastDeclarations, type BroadcastMapsOf, broadcastMaps, type ReadonlyBroadcastMapsOf } from "./broadcast-state.ts";
import { FunctionOutputs } from "./function-outputs.ts";
import { InstanceProcess } from "./instance-process.ts";
import type { Timer } from "./keyed-process.ts";
import { KeyedProcess } from "./keyed-process-operator.ts";
import { CallContext, type KeyedContext, type RowContext, type SideTypes } from "./process-context.ts";

export interface BroadcastFunctions<
  Row,
  Rule,
  Key,
  Out,
  D extends Declarations,
  B extends BroadcastDeclarations,
  Sides extends SideTypes = {},
> {
  /** A row of the stream (input 0). Without a key the context has neither key nor state nor timers. */
  onRow(row: Row, context: KeyedContext<Key, Out, D, Sides>, broadcast: ReadonlyBroadcastMapsOf<B>): void;
  /** A row of the broadcast stream (input 1), on every instance. What it does to the maps must follow from such rows alone. */
  onBroadcast(row: Rule, broadcast: BroadcastMapsOf<B>, context: RowContext<Out, Sides>): void;
  /** A timer of the key has come due. */
  onTimer?(timer: Timer, context: KeyedContext<Key, Out, D, Sides>, broadcast: ReadonlyBroadcastMapsOf<B>): void;
}

export interface BroadcastProcessParams<
  Row = unknown,
  Rule = unknown,
  Key = unknown,
  Out = unknown,
  D extends Declarations = {},
  B extends BroadcastDeclarations = {},
  Sides extends SideTypes = {},
> {
  readonly input: Schema<Row>;
  readonly broadcast: Schema<Rule>;
  /** The stream's key; undefined for a stream without one. */
  readonly key?: KeyLayout;
  readonly output: Schema<Out>;
  readonly sides?: { readonly [Name in keyof Sides]: Schema<Sides[Name]> };
  /** State per key by name; only with a key. */
  readonly state?: D;
  /** Broadcast maps by name, declared with `state.map(...)`. */
  readonly maps: B;
  readonly functions: BroadcastFunctions<Row, Rule, Key, Out, D, B, Sides>;
}

/**
 * A function that throws sends its row to the dead letters as FUNCTION_FAILED and emits nothing for it; changes to state stay. A
 * broadcast row is reported by instance 0 alone. What `onBroadcast` emits, every instance emits.
 */
export function broadcastProcess<Row, Rule, Key, Out, D extends Declarations, B extends BroadcastDeclarations, Sides extends SideTypes>(
  params: BroadcastProcessParams<Row, Rule, Key, Out, D, B, Sides>,
): OperatorFactory {
  return (context) => new BroadcastProcess(context, params as unknown as AnyParams);
}

type AnyFunctions = BroadcastFunctions<unknown, unknown, unknown, unknown, Declarations, BroadcastDeclarations, SideTypes>;

interface AnyParams extends Omit<BroadcastProcessParams, "functions" | "sides" | "state" | "maps"> {
  readonly sides?: Readonly<Record<string, Schema>>;
  readonly state?: Declarations;
  readonly maps: Parameters<typeof broadcastMaps>[1];
  readonly functions: AnyFunctions;
}

class BroadcastProcess implements Operator {
  readonly #context: OperatorContext;
  readonly #functions: AnyFunctions;
  readonly #maps: BroadcastMapsOf<BroadcastDeclarations>;
  readonly #stream: Operator;
  readonly #view: RowView;
  readonly #outputs: FunctionOutputs;
  readonly #call: CallContext;

  constructor(context: OperatorContext, params: AnyParams) {
    const { input, broadcast, key, output, sides = {}, state = {}, functions } = params;
    this.#context = context;
    this.#functions = functions;
    this.#maps = broadcastMaps(context, params.maps) as unknown as BroadcastMapsOf<BroadcastDeclarations>;
    const maps = this.#maps;
    const onRow = (row: unknown, call: unknown): void =>
      functions.onRow(row, call as KeyedContext<unknown, unknown, Declarations, SideTypes>, maps);
    this.#stream =
      key === undefined
        ? new InstanceProcess(context, { input, output, sides, onRow })
        : new KeyedProcess(context, {
            inputs: [{ schema: input, key, name: "onRow", onRow }],
            output,
            sides,
            state,
            ...(functions.onTimer === undefined ? {} : { onTimer: (timer, call) => functions.onTimer?.(timer, call, maps) }),
          });
    this.#view = rowView(broadcast) as RowView;
    this.#outputs = new FunctionOutputs(context, output, sides);
    this.#call = new CallContext(context, this.#outputs);
  }

  process(batch: Batch, input: number): void {
    if (input === 0) this.#stream.process(batch, 0);
    else this.#broadcast(batch);
  }

  #broadcast({ rows, selection, count }: Batch): void {
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      this.#view.point(rows, row);
      this.#call.point(rows.times[row] as number, rows.kindOf(row));
      this.#outputs.begin();
      try {
        this.#functions.onBroadcast(this.#view, this.#maps, this.#call);
      } catch (cause) {
        this.#outputs.rollback();
        if (this.#context.subtask === 0) functionFailed(this.#context, "the function onBroadcast", rows, row, this.#view, cause);
      }
      this.#outputs.end();
    }
    this.#call.point(noTime, rowKind.insert);
    this.#outputs.flush();
  }

  onWatermark(timeMs: number): void {
    this.#stream.onWatermark?.(timeMs);
  }

  nextWakeMs(): number {
    return this.#stream.nextWakeMs?.() ?? Infinity;
  }

  onProcessingTime(nowMs: number): void {
    this.#stream.onProcessingTime?.(nowMs);
  }
}
