// instanceProcess: a user's functions over a stream without a key, with state per instance.
import { messageOf } from "../../base/errors.ts";
import { type Batch, noTime, rowKind } from "../../core/batch/batch.ts";
import { type RowView, rowView } from "../../core/batch/row-view.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { functionFailed } from "../rows/function-failed.ts";
import { FunctionOutputs } from "./function-outputs.ts";
import { instanceLists, type InstanceListDeclarations, type InstanceListsOf } from "./instance-lists.ts";
import { CallContext, type EmitContext, type RowContext, type SideTypes } from "./process-context.ts";

export interface InstanceFunctions<Row, Out, D extends InstanceListDeclarations = {}, Sides extends SideTypes = {}> {
  /** `row` is a view that is valid during the call. */
  onRow(row: Row, context: RowContext<Out, Sides>, lists: InstanceListsOf<D>): void;
  /** Event time has come to `timeMs`; what is emitted goes out before the watermark does. */
  onWatermark?(timeMs: number, context: EmitContext<Out, Sides>, lists: InstanceListsOf<D>): void;
  /** The input has ended. */
  onEnd?(context: EmitContext<Out, Sides>, lists: InstanceListsOf<D>): void;
}

export interface InstanceProcessParams<
  Row = unknown,
  Out = unknown,
  D extends InstanceListDeclarations = {},
  Sides extends SideTypes = {},
> {
  readonly input: Schema<Row>;
  readonly output: Schema<Out>;
  readonly sides?: { readonly [Name in keyof Sides]: Schema<Sides[Name]> };
  /** State of the instance by name. */
  readonly lists?: D;
  readonly functions: InstanceFunctions<Row, Out, D, Sides>;
}

/** A function that throws sends its row to the dead letters as FUNCTION_FAILED and emits nothing for it; changes to lists stay. */
export function instanceProcess<Row, Out, D extends InstanceListDeclarations, Sides extends SideTypes>(
  params: InstanceProcessParams<Row, Out, D, Sides>,
): OperatorFactory {
  const { input, output, sides = {}, lists = {}, functions } = params;
  return (context) => {
    const made = instanceLists(context, lists) as unknown as never;
    const { onRow, onWatermark, onEnd } = functions as unknown as AnyInstanceFunctions;
    return new InstanceProcess(context, {
      input: input as Schema,
      output: output as Schema,
      sides: sides as Readonly<Record<string, Schema>>,
      onRow: (row, call) => onRow.call(functions, row, call, made),
      ...(onWatermark === undefined ? {} : { onWatermark: (timeMs, call) => onWatermark.call(functions, timeMs, call, made) }),
      ...(onEnd === undefined ? {} : { onEnd: (call) => onEnd.call(functions, call, made) }),
    });
  };
}

interface AnyInstanceFunctions {
  onRow(row: unknown, call: CallContext, lists: unknown): void;
  onWatermark?(timeMs: number, call: CallContext, lists: unknown): void;
  onEnd?(call: CallContext, lists: unknown): void;
}

export interface InstanceCalls {
  readonly input: Schema;
  readonly output: Schema;
  readonly sides: Readonly<Record<string, Schema>>;
  readonly onRow: (row: unknown, call: CallContext) => void;
  readonly onWatermark?: (timeMs: number, call: CallContext) => void;
  readonly onEnd?: (call: CallContext) => void;
}

/** Calls functions for the rows of an input without a key. */
export class InstanceProcess implements Operator {
  readonly #context: OperatorContext;
  readonly #calls: InstanceCalls;
  readonly #view: RowView;
  readonly #outputs: FunctionOutputs;
  readonly #call: CallContext;

  constructor(context: OperatorContext, calls: InstanceCalls) {
    this.#context = context;
    this.#calls = calls;
    this.#view = rowView(calls.input) as RowView;
    this.#outputs = new FunctionOutputs(context, calls.output, calls.sides);
    this.#call = new CallContext(context, this.#outputs);
  }

  process({ rows, selection, count }: Batch): void {
    const { onRow } = this.#calls;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      this.#view.point(rows, row);
      this.#call.point(rows.times[row] as number, rows.kindOf(row));
      this.#outputs.begin();
      try {
        onRow(this.#view, this.#call);
      } catch (cause) {
        this.#outputs.rollback();
        functionFailed(this.#context, "the function onRow", rows, row, this.#view, cause);
      }
      this.#outputs.end();
    }
    this.#outputs.flush();
  }

  onWatermark(timeMs: number): void {
    const { onWatermark } = this.#calls;
    if (onWatermark !== undefined) this.#once("onWatermark", timeMs, (call) => onWatermark(timeMs, call));
  }

  end(): void {
    const { onEnd } = this.#calls;
    if (onEnd !== undefined) this.#once("onEnd", noTime, onEnd);
  }

  #once(name: string, timeMs: number, call: (context: CallContext) => void): void {
    this.#call.point(timeMs, rowKind.insert);
    this.#outputs.begin();
    try {
      call(this.#call);
    } catch (cause) {
      this.#outputs.rollback();
      this.#context.badRow({ code: "FUNCTION_FAILED", reason: `the function ${name} failed: ${messageOf(cause)}`, cause });
    }
    this.#outputs.end();
    this.#outputs.flush();
  }
}
