// The outputs of a user's function: rows as objects, all of a call's or none.
import type { RowKind } from "../../core/batch/batch.ts";
import { RowsBuilder } from "../../core/batch/rows-builder.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { Schema } from "../../core/schema/schema.ts";

/** More rows than this from one call are an error of that call: they are held back until it ends. */
const maxRowsPerCall = 100_000;

export class FunctionOutputs {
  readonly #main: RowsBuilder;
  readonly #sides = new Map<string, RowsBuilder>();
  readonly #all: readonly RowsBuilder[];
  readonly #marks: number[];
  #left = 0;

  constructor(context: OperatorContext, output: Schema, sides: Readonly<Record<string, Schema>>) {
    this.#main = new RowsBuilder(output, context.output());
    for (const [name, schema] of Object.entries(sides)) this.#sides.set(name, new RowsBuilder(schema, context.output(name)));
    this.#all = [this.#main, ...this.#sides.values()];
    this.#marks = this.#all.map(() => 0);
  }

  /** A call begins: what it emits is kept only if it ends well. */
  begin(): void {
    for (let i = 0; i < this.#all.length; i++) this.#marks[i] = (this.#all[i] as RowsBuilder).rows.size;
    this.#left = maxRowsPerCall;
  }

  /** Throws ROW_INVALID where the row does not fit. */
  emit(side: string | undefined, row: unknown, timeMs: number, kind: RowKind): void {
    const builder = side === undefined ? this.#main : this.#sides.get(side);
    if (builder === undefined)
      throw new Error(`there is no side output "${side}"; declared are ${[...this.#sides.keys()].join(", ") || "none"}`);
    if (this.#left-- === 0) throw new Error(`it emitted more than ${maxRowsPerCall} rows in one call`);
    builder.write(row, timeMs, kind);
  }

  /** The call failed: takes back what it emitted. */
  rollback(): void {
    for (let i = 0; i < this.#all.length; i++) (this.#all[i] as RowsBuilder).rollback(this.#marks[i] as number);
  }

  /** The call is over. */
  end(): void {
    this.#left = 0;
    for (const builder of this.#all) builder.flushIfFull();
  }

  flush(): void {
    for (const builder of this.#all) builder.flush();
  }
}
