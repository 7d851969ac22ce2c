// filter: the rows for which a predicate holds. Narrows the selection and copies nothing.
import type { Batch } from "../../core/batch/batch.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { ChangelogMode } from "../../core/ports/sink.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { Predicate } from "./predicate.ts";
import { SelectedOutput } from "./selected-output.ts";

export interface FilterParams<Row = unknown> {
  readonly input: Schema<Row>;
  readonly predicate: (row: Row) => boolean;
  /** What the input carries; what becomes of updates is described at `SelectedOutput`. Default append. */
  readonly changelog?: ChangelogMode;
}

/** Rows for which the predicate throws go to the dead letters as FUNCTION_FAILED and do not pass. */
export function filter<Row>(params: FilterParams<Row>): OperatorFactory {
  return (context) => {
    const predicate = new Predicate(context, params.input, "the filter's predicate", params.predicate);
    const output = new SelectedOutput(params.input, context.output(), params.changelog ?? "append");
    let passes = new Uint8Array(0);
    return {
      process(batch: Batch): void {
        if (passes.length < batch.count) passes = new Uint8Array(Math.max(batch.count, 1024));
        predicate.evaluate(batch, passes);
        const sent = output.emit(batch, passes);
        if (sent < batch.count) context.metrics.count("records_filtered", batch.count - sent);
      },
    };
  };
}
