// What the two logs and the newest state say together at a start: which batch is done, which is to be run again.
import { MillraceError } from "../../../base/errors.ts";
import type { BatchLog, OffsetEntry } from "./batch-log.ts";

/** What a restart found: the batch whose state is restored, and the one that was planned after it and not finished. */
export interface Recovery {
  /** -1 where there is none. */
  readonly lastBatchId: number;
  readonly unfinished: OffsetEntry | undefined;
  /** The last batch's commit was not recorded: its sinks' commits were finished when they opened. */
  readonly commitMissing: boolean;
}

/** Rejects with QUERY_STATE_LOST where the log knows of batches whose state is gone. */
export async function recoverBatches(
  batchLog: BatchLog,
  { lastBatchId, ownRestored }: { readonly lastBatchId: number; readonly ownRestored: boolean },
  subject: string,
): Promise<Recovery> {
  const planned = await batchLog.lastOffsets();
  const committed = await batchLog.lastCommit();
  if (planned !== undefined && planned.batchId > lastBatchId + 1) {
    throw new MillraceError(
      "QUERY_STATE_LOST",
      subject,
      `its log goes to batch ${planned.batchId}, but the newest state is that of batch ${lastBatchId}`,
      "restore the checkpoints that are missing, or start anew with another checkpoint location",
    );
  }
  const unfinished = planned !== undefined && planned.batchId === lastBatchId + 1 ? planned : undefined;
  return { lastBatchId, unfinished, commitMissing: ownRestored && (committed ?? -1) < lastBatchId };
}
