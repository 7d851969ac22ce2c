// The first rows of a key in an order, out of its entries in state.
import type { Rows } from "../../core/batch/batch.ts";
import type { RowOrder } from "../rows/row-order.ts";

/** Fills `top` with the slots of the first `size` entries in order, of equal ones the earlier to come first. `sequences` is per slot. */
export function selectTop(
  rows: Rows,
  order: RowOrder,
  sequences: Float64Array,
  slots: Int32Array,
  count: number,
  size: number,
  top: number[],
): void {
  top.length = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] as number;
    if (top.length === size && !comesBefore(rows, order, sequences, slot, top[size - 1] as number)) continue;
    // Binary search for the place: entries before it come before this one.
    let low = 0;
    let high = top.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comesBefore(rows, order, sequences, slot, top[middle] as number)) high = middle;
      else low = middle + 1;
    }
    top.splice(low, 0, slot);
    if (top.length > size) top.pop();
  }
}

function comesBefore(rows: Rows, order: RowOrder, sequences: Float64Array, a: number, b: number): boolean {
  const difference = order.compare(rows, a, rows, b);
  return difference < 0 || (difference === 0 && (sequences[a] as number) < (sequences[b] as number));
}
