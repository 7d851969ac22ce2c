// The life of a streaming query, and when its triggers are.

/** `batch`: the batch under way is finished. `immediate`: it is given up, and run again by the next start. */
export type StopMode = "batch" | "immediate";

export type QueryState = "running" | "stopping" | "finished" | "stopped" | "failed";

const moves: Readonly<Record<QueryState, readonly QueryState[]>> = {
  running: ["stopping", "finished", "failed"],
  stopping: ["stopped", "finished", "failed"],
  finished: [],
  stopped: [],
  failed: [],
};

/** What becomes of a query in state `from` that is to go to `to`. An ended query stays what it ended as. */
export function moved(from: QueryState, to: QueryState): QueryState {
  if (moves[from].includes(to)) return to;
  if (from === "stopping" || from === "running") throw new Error(`a query cannot go from ${from} to ${to}`);
  return from;
}

/** Triggers are at the multiples of the interval; one that a batch ran over is left out. */
export function nextTriggerMs(dueMs: number, intervalMs: number, nowMs: number): number {
  if (intervalMs <= 0) return nowMs;
  // The batch ran before its time, because somebody waits for it.
  if (dueMs > nowMs) return dueMs;
  const next = (Math.floor(dueMs / intervalMs) + 1) * intervalMs;
  return next <= nowMs ? Math.floor(nowMs / intervalMs) * intervalMs : next;
}
