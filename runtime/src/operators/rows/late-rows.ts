// Rows that came after their time was over: to a side output as they are, or counted and dropped.
import { Batch } from "../../core/batch/batch.ts";
import type { Output } from "../../core/batch/rows-builder.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";

/** Collects the late rows of one batch by their position, and hands them on without a copy. */
export class LateRows {
  readonly #context: OperatorContext;
  readonly #output: Output | undefined;
  #selection: Int32Array = new Int32Array(0);
  #count = 0;
  #batch: Batch | undefined;

  /** `output` names the side output that takes them. */
  constructor(context: OperatorContext, output: string | undefined) {
    this.#context = context;
    this.#output = output === undefined ? undefined : context.output(output);
  }

  /** Row number `row` of `batch` is late. Rows come in the order of the selection. */
  add(batch: Batch, row: number): void {
    if (this.#selection.length < batch.count) this.#selection = new Int32Array(Math.max(batch.count, 1024));
    this.#selection[this.#count++] = row;
  }

  /** Ends a batch. */
  flush(batch: Batch): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    if (this.#output === undefined) {
      this.#context.metrics.count("late_records_dropped", count);
      return;
    }
    this.#batch ??= new Batch(batch.rows);
    this.#output.emit(this.#batch.set(batch.rows, this.#selection, count));
  }
}
