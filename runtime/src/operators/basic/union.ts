// union: the rows of several inputs of one schema, as they come. The driver merges their watermarks.
import type { OperatorFactory } from "../../core/operator/operator.ts";

export function union(): OperatorFactory {
  return (context) => {
    const output = context.output();
    return { process: (batch) => output.emit(batch) };
  };
}
