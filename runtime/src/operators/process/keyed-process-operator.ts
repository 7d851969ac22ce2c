// The operator behind process and coProcess: binds state to the key of each row and timer and calls the user's functions.
import { ByteWriter } from "../../base/bytes.ts";
import { messageOf } from "../../base/errors.ts";
import { type Batch, Rows, noTime, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { Declarations } from "../../core/handles/declarations.ts";
import { type BoundTimers, type KeyTimers, keyTimers } from "../../core/handles/key-timers.ts";
import { type HandlesOf, type StateHandles, stateHandles } from "../../core/handles/state-handles.ts";
import { type KeyBatch, KeyReader, readKeyInto } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext } from "../../core/operator/operator.ts";
import type { TimerVisitor } from "../../core/ports/state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { FunctionOutputs } from "./function-outputs.ts";
import type { Timer } from "./keyed-process.ts";
import { CallContext, type KeyedContext, type SideTypes } from "./process-context.ts";

type AnyContext = KeyedContext<unknown, unknown, Declarations, SideTypes>;

/** The user's functions, whatever their types. */
export interface AnyKeyedFunctions {
  onRow(row: unknown, context: AnyContext): void;
  onTimer?(timer: Timer, context: AnyContext): void;
  onEnd?(context: AnyContext): void;
}

export interface KeyedProcessParams extends Omit<AnyKeyedFunctions, "onRow"> {
  readonly inputs: readonly {
    readonly schema: Schema;
    readonly key: KeyLayout;
    readonly name: string;
    readonly onRow: AnyKeyedFunctions["onRow"];
  }[];
  readonly output: Schema;
  readonly sides: Readonly<Record<string, Schema>>;
  readonly state: Declarations;
}

interface Input {
  readonly reader: KeyReader;
  readonly view: RowView;
  readonly what: string;
  readonly onRow: AnyKeyedFunctions["onRow"];
}

export class KeyedProcess implements Operator {
  readonly #context: OperatorContext;
  readonly #params: KeyedProcessParams;
  readonly #inputs: readonly Input[];
  readonly #handles: StateHandles<Declarations>;
  readonly #timers: BoundTimers;
  readonly #outputs: FunctionOutputs;
  readonly #call: KeyedCall;

  constructor(context: OperatorContext, params: KeyedProcessParams) {
    this.#context = context;
    this.#params = params;
    this.#inputs = params.inputs.map(({ schema, key, name, onRow }) => ({
      reader: new KeyReader(key),
      view: rowView(schema) as RowView,
      what: `the function ${name}`,
      onRow,
    }));
    const { key } = params.inputs[0] as (typeof params.inputs)[number];
    this.#handles = stateHandles(context.keyed, key, params.state);
    this.#timers = keyTimers(context.keyed, key, this.#handles.bound);
    this.#outputs = new FunctionOutputs(context, params.output, params.sides);
    this.#call = new KeyedCall(context, this.#outputs, this.#handles, this.#timers.timers, key);
  }

  process(batch: Batch, input: number): void {
    const { reader, view, what, onRow } = this.#inputs[input] as Input;
    const { rows, selection, count } = batch;
    const keys = reader.read(batch);
    this.#handles.prefetch(keys);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      this.#begin(keys, k, rows.times[row] as number, rows.kindOf(row));
      view.point(rows, row);
      try {
        onRow(view, this.#call);
      } catch (cause) {
        this.#outputs.rollback();
        functionFailed(this.#context, what, rows, row, view, cause);
      }
      this.#outputs.end();
    }
    this.#endCalls();
  }

  #begin(keys: KeyBatch, k: number, timeMs: number, kind: 0 | 1 | 2 | 3): void {
    this.#handles.bind(keys, k);
    this.#call.point(timeMs, kind);
    this.#outputs.begin();
  }

  // Outside of calls there is no key, and whoever kept the context is told so.
  #endCalls(): void {
    this.#handles.bound.keys = null;
    this.#handles.bound.version++;
    this.#outputs.flush();
  }

  onWatermark(timeMs: number): void {
    this.#timers.event.fire(timeMs, (keys, _namespace, dueMs) => this.#fire(keys, { time: "event", timeMs: dueMs }));
    this.#endCalls();
  }

  nextWakeMs(): number {
    return this.#timers.processing.nextMs();
  }

  onProcessingTime(nowMs: number): void {
    const visitor: TimerVisitor = (keys, _namespace, dueMs) => this.#fire(keys, { time: "processing", timeMs: dueMs });
    this.#timers.processing.fire(nowMs, visitor);
    this.#endCalls();
  }

  #fire(keys: KeyBatch, timer: Timer): void {
    const { onTimer } = this.#params;
    if (onTimer === undefined) return;
    this.#begin(keys, 0, timer.time === "event" ? timer.timeMs : noTime, rowKind.insert);
    try {
      onTimer(timer, this.#call);
    } catch (cause) {
      this.#outputs.rollback();
      this.#failed("onTimer", { key: this.#call.key, timer }, cause);
    }
    this.#outputs.end();
  }

  end(): void {
    const { onEnd } = this.#params;
    if (onEnd === undefined) return;
    this.#call.point(noTime, rowKind.insert);
    this.#outputs.begin();
    try {
      onEnd(this.#call);
    } catch (cause) {
      this.#outputs.rollback();
      this.#failed("onEnd", undefined, cause);
    }
    this.#outputs.end();
    this.#endCalls();
  }

  #failed(name: string, row: unknown, cause: unknown): void {
    this.#context.badRow({ code: "FUNCTION_FAILED", reason: `the function ${name} failed: ${messageOf(cause)}`, row, cause });
  }
}

class KeyedCall extends CallContext implements AnyContext {
  readonly state: HandlesOf<Declarations>;
  readonly timers: KeyTimers;
  readonly #handles: StateHandles<Declarations>;
  readonly #layout: KeyLayout;
  readonly #keyRows: Rows;
  readonly #keyView: RowView;
  readonly #targets: readonly number[];
  readonly #bytes = new ByteWriter(64);

  constructor(
    context: OperatorContext,
    outputs: FunctionOutputs,
    handles: StateHandles<Declarations>,
    timers: KeyTimers,
    layout: KeyLayout,
  ) {
    super(context, outputs);
    this.state = handles.handles;
    this.timers = timers;
    this.#handles = handles;
    this.#layout = layout;
    this.#keyRows = new Rows(layout.schema, 1);
    this.#keyView = rowView(layout.schema) as RowView;
    this.#targets = layout.schema.fields.map((field) => field.index);
  }

  get key(): object {
    const { keys, k } = this.#handles.bound;
    if (keys === null) throw new Error("there is no key outside of the processing of a row or timer");
    this.#bytes.reset();
    keys.writeKey(k, this.#bytes);
    this.#keyRows.reset();
    this.#keyRows.ready.fill(1);
    readKeyInto(this.#layout, this.#bytes.buffer, 0, this.#bytes.length, this.#keyRows, 0, this.#targets);
    this.#keyView.point(this.#keyRows, 0);
    return { ...this.#keyView };
  }
}
