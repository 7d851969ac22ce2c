// Brings a task's state back: reads its changelogs to their ends, beside everything else that the process does.
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { TaskRestore } from "../../task/task-parts.ts";
import { storedList, storedState } from "../changelog/changelog-copy.ts";
import type { ChangelogFollower } from "../changelog/changelog-follower.ts";

/** What a restore has read and what is left. */
export interface RestoreProgress {
  records: number;
  bytes: number;
  remaining: number;
}

/** A pause is ended now and then to see whether the task is still wanted. */
const mostPauseMs = 200;

/** Reads on until every follower has reached where its partition ends now. */
export async function catchUp(followers: readonly ChangelogFollower[], progress: RestoreProgress, signal: AbortSignal): Promise<void> {
  for (const follower of followers) {
    await follower.askEnd();
    const before = { bytes: follower.readBytes, records: follower.readRecords };
    while (!follower.reachedEnd) {
      signal.throwIfAborted();
      const { waitMs } = follower;
      if (waitMs > 0) {
        await pause(Math.min(waitMs, mostPauseMs));
        continue;
      }
      if (!follower.step() && !follower.reachedEnd) await follower.ready();
      progress.bytes += follower.readBytes - before.bytes;
      progress.records += follower.readRecords - before.records;
      before.bytes = follower.readBytes;
      before.records = follower.readRecords;
      progress.remaining = followers.reduce((sum, each) => sum + each.lag, 0);
      // Others have their turn; a restore is never in a hurry.
      await nextTurn();
    }
  }
}

/** What the copies hold, by the uid of the operator that it belongs to. */
export function restoreFrom(followers: ReadonlyMap<string, ChangelogFollower>): TaskRestore {
  return {
    checkpointId: 0,
    committed: true,
    keyedState: (uid) => {
      const found = followers.get(uid);
      return found && storedState(found.topic, found.copy);
    },
    operatorState: (uid, list) => {
      const found = followers.get(uid);
      return found === undefined ? [] : storedList(found.topic, found.copy, list);
    },
    sinkStates: () => undefined,
    // A changelog says when an entry was written, not how far time had come.
    watermarkMs: () => Number.NEGATIVE_INFINITY,
  };
}
