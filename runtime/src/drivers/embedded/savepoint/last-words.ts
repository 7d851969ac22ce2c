// What a process that a savepoint has ended leaves behind: with which one it was, for whoever asks when nobody answers any more.
import { writeFileSync } from "node:fs";
import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type ControlState, stoppedWith } from "../control/control-state.ts";

/** Writes `{ "stopped": { "id", "location" } }`, at once, because the process may end right behind; nothing while it is not published. */
export function leaveLastWords(path: string | undefined, state: ControlState, log: Log): void {
  const id = stoppedWith(state);
  const location = state.round?.result?.url;
  if (path === undefined || id === undefined || location === undefined) return;
  try {
    writeFileSync(path, JSON.stringify({ stopped: { id, location } }));
  } catch (error) {
    log.warn("the savepoint that ended this process could not be noted", { path, reason: messageOf(error) });
  }
}
