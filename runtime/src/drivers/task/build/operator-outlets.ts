// What an operator is given to act on its surroundings: outputs that count, and a brake on what leads to it.
import type { OperatorMetrics } from "../../../core/operator/operator.ts";
import type { Fan } from "../edge.ts";
import type { Obstacle } from "../obstacle.ts";
import type { InstanceCounters } from "../operator-instance.ts";

/** Stops what leads to an operator until the returned function is called. */
export function raisedOnce(obstacle: Obstacle): () => void {
  obstacle.raise();
  let over = false;
  return () => {
    if (over) return;
    over = true;
    obstacle.lower();
  };
}

/** Wraps an output so that what an operator emits is counted once, whoever consumes it. Late rows that nobody reads are dropped rows. */
export function countRows(output: Fan, counters: InstanceCounters, late: OperatorMetrics | undefined): { emit: Fan["emit"] } {
  return {
    emit(batch) {
      if (batch.count === 0) return;
      if (late !== undefined && output.isEmpty) return late.count("late_records_dropped", batch.count);
      counters.rowsOut += batch.count;
      output.emit(batch);
    },
  };
}
