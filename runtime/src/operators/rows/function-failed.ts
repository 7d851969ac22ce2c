// Reports a row that a user's function refused: with where it came from while that is known, and as the function saw it.
import { messageOf } from "../../base/errors.ts";
import type { Rows } from "../../core/batch/batch.ts";
import type { RowView } from "../../core/batch/row-view.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";

/** `view` shows the row, or is a plain object with its values. `what` names the function: `the map function`. */
export function functionFailed(
  context: OperatorContext,
  what: string,
  rows: Rows,
  row: number,
  view: RowView | object,
  cause: unknown,
): void {
  const { origin } = rows;
  const reason = `${what} failed: ${messageOf(cause)}`;
  // A source's rows are numbered as its records are. Rows that were computed have no origin.
  if (origin === null || row >= origin.count) {
    context.badRow({ code: "FUNCTION_FAILED", reason, row: { ...view }, cause });
    return;
  }
  context.badRow({
    code: "FUNCTION_FAILED",
    reason,
    splitId: origin.splitId,
    position: origin.position[row] as number,
    key: range(origin.bytes, origin.keyStart[row] as number, origin.keyEnd[row] as number),
    value: range(origin.bytes, origin.valueStart[row] as number, origin.valueEnd[row] as number),
    row: { ...view },
    cause,
  });
}

function range(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  // A copy, also of a Buffer, whose own `slice` would be a view: the bytes are used again for the next block.
  return start < 0 ? null : new Uint8Array(bytes.subarray(start, end));
}
