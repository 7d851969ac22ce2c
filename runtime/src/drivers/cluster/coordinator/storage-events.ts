// What came of a step in the storage: the checkpoint moves on, or the step is tried again.
import { completed, published } from "./checkpointing.ts";
import { failRegion } from "./deploying.ts";
import type { JobState } from "./job-state.ts";
import type { CoordinatorEvent } from "./types.ts";

type EventOf<K extends CoordinatorEvent["kind"]> = Extract<CoordinatorEvent, { readonly kind: K }>;

/** Failures of a savepoint that no retry can mend. */
const finalCodes: ReadonlySet<string> = new Set(["SAVEPOINT_ID_INVALID", "CHECKPOINT_GONE", "SNAPSHOT_CORRUPT"]);

export function storageEvent(
  job: JobState,
  event: EventOf<"published"> | EventOf<"savepointMade"> | EventOf<"markedCommitted"> | EventOf<"storageFailed">,
): void {
  const { pending } = job;
  if (pending?.id !== event.checkpointId) return;
  if (event.kind === "storageFailed") return storageFailed(job, event);
  if (event.kind === "published" && pending.phase === "publishing") {
    pending.record.writtenBytes = event.writtenBytes;
    pending.record.totalBytes = event.totalBytes;
    return published(job, pending, event);
  }
  if (event.kind === "savepointMade" && pending.phase === "copying") {
    const { result } = event;
    pending.record.location = result.url;
    const known = job.savepoints.get(result.id);
    if (known !== undefined) known.result = result;
    return pending.move("committing");
  }
  if (event.kind === "markedCommitted" && pending.phase === "recording") {
    pending.move("done");
    completed(job, pending);
  }
}

// What is begun is finished: the step is tried again for as long as it takes. But past the limit nothing more is processed on top of it.
function storageFailed(job: JobState, event: EventOf<"storageFailed">): void {
  const { pending } = job;
  if (pending === undefined) return;
  pending.asked = false;
  const { failure, step } = event;
  if (step === "savepoint" && pending.savepoint !== undefined && finalCodes.has(failure.code)) {
    // Nobody can make this savepoint; the checkpoint under it is good, and the job goes on from there.
    const known = job.savepoints.get(pending.savepoint.id);
    if (known !== undefined) known.failure = failure;
    pending.kind = "rescale";
    return pending.move("committing");
  }
  const pauseMs = pending.failed(`${step}: ${failure.message}`);
  pending.retryAtMs = job.nowMs + pauseMs;
  job.log("warn", "checkpoint attempt failed", { checkpointId: pending.id, step, reason: failure.message, failures: pending.failures });
  if (pending.failures !== job.options.tolerableFailures + 1) return;
  const message = `checkpoint ${pending.id}: ${step}: ${failure.message}`;
  for (const region of job.regions) failRegion(job, region, { code: "CHECKPOINT_FAILED", message, fatal: false, loss: false });
}
