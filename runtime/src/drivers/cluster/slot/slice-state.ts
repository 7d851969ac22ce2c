// What a slice goes through.
import type { SliceState } from "../slot-protocol.ts";

const moves: Readonly<Record<SliceState, readonly SliceState[]>> = {
  deploying: ["deployed", "failed", "closed"],
  deployed: ["running", "failed", "closed"],
  running: ["ended", "holding", "failed", "closed"],
  // All input is processed; a last checkpoint may still come, and a drain or a stop ends with it.
  ended: ["holding", "failed", "closed"],
  holding: ["failed", "closed"],
  failed: ["closed"],
  closed: [],
};

export function mayMove(from: SliceState, to: SliceState): boolean {
  return moves[from].includes(to);
}
