// split: rows go to named outputs by predicates; no value is copied.
import type { Batch } from "../../core/batch/batch.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { ChangelogMode } from "../../core/ports/sink.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { Predicate } from "./predicate.ts";
import { refused, SelectedOutput } from "./selected-output.ts";

export interface SplitBranch<Row = unknown> {
  /** The side output that takes the rows. */
  readonly output: string;
  readonly predicate: (row: Row) => boolean;
}

export interface SplitParams<Row = unknown> {
  readonly input: Schema<Row>;
  readonly branches: readonly SplitBranch<Row>[];
  /** `first`: a row goes to the first branch that takes it. `all`: to each one. Rows that none takes go to the main output. */
  readonly mode?: "first" | "all";
  readonly changelog?: ChangelogMode;
}

/** A predicate that throws sends its row to the dead letters, and to no further output. */
export function split<Row>(params: SplitParams<Row>): OperatorFactory {
  return (context) => {
    const { input, mode = "first", changelog = "append" } = params;
    const branches = params.branches.map((branch) => ({
      predicate: new Predicate(context, input, `the predicate of output "${branch.output}"`, branch.predicate),
      output: new SelectedOutput(input, context.output(branch.output), changelog),
      passes: new Uint8Array(0),
    }));
    const rest = new SelectedOutput(input, context.output(), changelog);
    let unclaimed = new Uint8Array(0);
    return {
      process(batch: Batch): void {
        const { count } = batch;
        if (unclaimed.length < count) {
          unclaimed = new Uint8Array(Math.max(count, 1024));
          for (const branch of branches) branch.passes = new Uint8Array(unclaimed.length);
        }
        unclaimed.fill(1, 0, count);
        for (const { predicate, passes } of branches) {
          predicate.evaluate(batch, passes);
          for (let k = 0; k < count; k++) {
            if (unclaimed[k] === refused) passes[k] = refused;
            else if (passes[k] === refused) unclaimed[k] = refused;
            else if (passes[k] === 1) {
              if (mode === "first" && unclaimed[k] === 0) passes[k] = 0;
              unclaimed[k] = 0;
            }
          }
        }
        // All predicates have looked at the rows before any consumer does.
        for (const { output, passes } of branches) output.emit(batch, passes);
        rest.emit(batch, unclaimed);
      },
    };
  };
}
