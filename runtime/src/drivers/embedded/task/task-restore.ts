// Brings a task's state back: reads its changelogs to their ends, beside everything else that the process does.
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { StoredState } from "../../../core/ports/state-backend.ts";
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

/**
 * What the copies hold, by the uid of the operator that it belongs to; undefined where there is no state. Copies are large: others
 * have their turn between pieces of them, and the heartbeats of the group with them. `signal` gives it up, also while state is
 * taken from what this gives.
 */
export async function restoreFrom(
  followers: ReadonlyMap<string, ChangelogFollower>,
  signal: AbortSignal,
): Promise<TaskRestore | undefined> {
  if (followers.size === 0) return undefined;
  const turn = async (): Promise<void> => {
    await nextTurn();
    signal.throwIfAborted();
  };
  const states = new Map<string, StoredState>();
  for (const [uid, { topic, copy }] of followers) states.set(uid, await storedState(topic, copy, turn));
  return {
    checkpointId: 0,
    committed: true,
    keyedState: (uid) => states.get(uid),
    operatorState: (uid, list) => {
      const found = followers.get(uid);
      return found === undefined ? [] : storedList(found.topic, found.copy, list);
    },
    sinkStates: () => undefined,
    // A changelog says when an entry was written, not how far time had come.
    watermarkMs: () => Number.NEGATIVE_INFINITY,
  };
}
