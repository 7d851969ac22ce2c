// What a user's process function is given beside its row: state and timers of the key, outputs, times.
import { type RowKind, noTime, rowKind } from "../../core/batch/batch.ts";
import type { Declarations } from "../../core/handles/declarations.ts";
import type { KeyTimers } from "../../core/handles/key-timers.ts";
import type { HandlesOf } from "../../core/handles/state-handles.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { FunctionOutputs } from "./function-outputs.ts";

/** What a row of a changelog says. */
export type ChangeName = keyof typeof rowKind;

/** The types of the rows of side outputs by name. */
export type SideTypes = Readonly<Record<string, unknown>>;

/** What every function may do: emit rows and read the time. */
export interface EmitContext<Out, Sides extends SideTypes = {}> {
  /** Emits a row, with the time of the row or timer at hand where none is given, ms. Throws ROW_INVALID where it does not fit. */
  emit(row: Out, timeMs?: number): void;
  /** Emits a row of a changelog. */
  emitChange(kind: ChangeName, row: Out, timeMs?: number): void;
  /** A side output. */
  output<Name extends keyof Sides & string>(name: Name): { emit(row: Sides[Name], timeMs?: number): void };
  /** Event time as far as it has come, ms; -Infinity before the first watermark. */
  readonly watermark: number;
  /** Processing time, ms since the epoch. */
  readonly now: number;
}

export interface RowContext<Out, Sides extends SideTypes = {}> extends EmitContext<Out, Sides> {
  /** The time of the row or timer at hand, ms; -Infinity for a row without one and for a timer of processing time. */
  readonly timestamp: number;
  /** What the row at hand says; a timer has `insert`. */
  readonly kind: ChangeName;
}

export interface KeyedContext<Key, Out, D extends Declarations, Sides extends SideTypes = {}> extends RowContext<Out, Sides> {
  /** The fields of the key at hand; a copy that may be kept. */
  readonly key: Key;
  /** State of the key at hand. */
  readonly state: HandlesOf<D>;
  /** Timers of the key at hand. */
  readonly timers: KeyTimers;
}

const kindNames: readonly ChangeName[] = ["insert", "updateBefore", "updateAfter", "delete"];

/** The part that all contexts share. One object per operator; it moves from row to row. */
export class CallContext implements RowContext<unknown, SideTypes> {
  readonly #context: OperatorContext;
  readonly #outputs: FunctionOutputs;
  #timestamp = noTime;
  #kind: RowKind = rowKind.insert;

  constructor(context: OperatorContext, outputs: FunctionOutputs) {
    this.#context = context;
    this.#outputs = outputs;
    // Bound, so that functions may take them apart: `onRow(row, { emit })`.
    this.emit = this.emit.bind(this);
    this.emitChange = this.emitChange.bind(this);
    this.output = this.output.bind(this);
  }

  /** Moves on to a row or timer. */
  point(timeMs: number, kind: RowKind): void {
    this.#timestamp = timeMs;
    this.#kind = kind;
  }

  get timestamp(): number {
    return this.#timestamp;
  }

  get kind(): ChangeName {
    return kindNames[this.#kind] as ChangeName;
  }

  get watermark(): number {
    return this.#context.watermarkMs();
  }

  get now(): number {
    return this.#context.clock.now();
  }

  emit(row: unknown, timeMs: number = this.#timestamp): void {
    this.#outputs.emit(undefined, row, timeMs, rowKind.insert);
  }

  emitChange(kind: ChangeName, row: unknown, timeMs: number = this.#timestamp): void {
    this.#outputs.emit(undefined, row, timeMs, rowKind[kind]);
  }

  output(name: string): { emit(row: unknown, timeMs?: number): void } {
    return { emit: (row, timeMs = this.#timestamp) => this.#outputs.emit(name, row, timeMs, rowKind.insert) };
  }
}
