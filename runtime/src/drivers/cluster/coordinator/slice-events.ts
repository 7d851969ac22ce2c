// What a slice tells changes what is known of it, and may end its region's attempt.
import type { SlotEvent, SliceStatus } from "../slot-protocol.ts";
import { failRegion } from "./deploying.ts";
import type { JobState } from "./job-state.ts";
import type { Region, Slice } from "./region.ts";
import type { Failure } from "./types.ts";

export function sliceEvent(job: JobState, region: Region, slice: Slice, event: SlotEvent): void {
  switch (event.kind) {
    case "deployed":
      if (slice.state !== "deploying") return;
      slice.state = "deployed";
      return job.recoveries.sliceDeployed(region, slice.id.slot, event.times, job.nowMs);
    case "report":
      slice.reportBefore = slice.report;
      slice.report = event.report;
      if (!isFinal(slice.state) && slice.state !== "deploying") slice.state = event.report.state;
      if (event.report.state === "holding" && job.rescale !== undefined) job.rescale.heldSinceMs ??= job.nowMs;
      return;
    case "acknowledged":
      if (event.checkpointId !== job.pending?.id && event.checkpointId <= (job.latest?.checkpointId ?? 0)) return;
      if (slice.ack?.checkpointId !== event.checkpointId) job.pending?.note(event.times);
      slice.ack = { checkpointId: event.checkpointId, ack: event.ack, finishedSplits: event.finishedSplits };
      if (job.pending?.kind === "rescale" && job.rescale !== undefined) job.rescale.heldSinceMs ??= job.nowMs;
      return;
    case "uploadFailed":
    case "commitFailed":
      return attemptFailed(job, region, slice, event);
    case "committed":
      slice.committedId = Math.max(slice.committedId, event.checkpointId);
      if (slice.pending !== undefined && slice.pending.checkpointId <= event.checkpointId) slice.pending = undefined;
      return;
    case "ended":
      // It may be told again after a slice has come back, and is then older than what the slice said of itself.
      if (slice.state === "running" || slice.state === "deployed") slice.state = "ended";
      return;
    case "failed":
      return failed(job, region, slice, event);
    case "closed":
      slice.state = "closed";
      return reactTo(job, region, slice, "closed");
  }
}

function attemptFailed(
  job: JobState,
  region: Region,
  slice: Slice,
  event: Extract<SlotEvent, { kind: "uploadFailed" | "commitFailed" }>,
): void {
  const { pending } = job;
  if (pending?.id !== event.checkpointId) return;
  const what = event.kind === "uploadFailed" ? "write" : "commit";
  pending.failed(`${what} at slot ${slice.id.slot}: ${event.reason}`);
  job.log("warn", "checkpoint attempt failed", {
    checkpointId: pending.id,
    step: what,
    slot: slice.id.slot,
    reason: event.reason,
    failures: pending.failures,
  });
  if (!event.fatal && pending.failures <= job.options.tolerableFailures) return;
  pending.failures = 0;
  failRegion(job, region, {
    code: "CHECKPOINT_FAILED",
    message: `checkpoint ${pending.id}: ${what}: ${event.reason}`,
    fatal: false,
    loss: false,
    slice,
  });
}

function failed(job: JobState, region: Region, slice: Slice, event: Extract<SlotEvent, { kind: "failed" }>): void {
  slice.state = "failed";
  const lostAt = event.lostSlot === undefined ? undefined : region.slices.get(event.lostSlot);
  const { uid, subtask, record } = event;
  failRegion(job, region, {
    code: event.code,
    message: event.message,
    // An operating error before it ever ran is its user's to mend: starting again would only hide it.
    fatal: event.fatal || (!region.everRan && event.lostSlot === undefined && job.latest === undefined && event.code !== "INTERNAL"),
    loss: lostAt !== undefined,
    slice,
    about: {
      ...(uid === undefined ? {} : { uid }),
      ...(subtask === undefined ? {} : { subtask }),
      ...(record === undefined ? {} : { record }),
    },
  });
}

export function reactTo(job: JobState, region: Region, slice: Slice, state: SliceStatus["state"]): void {
  const unwanted = state === "closed" && region.state !== "cancelling";
  if (state !== "failed" && !unwanted) return;
  failRegion(job, region, {
    code: "SLICE_FAILED",
    message: `slot ${slice.id.slot} has ${state}`,
    fatal: false,
    loss: false,
    slice,
  });
}

export function loseSlices(job: JobState, which: (slice: Slice) => boolean, failure: Failure, loss: boolean): void {
  for (const { region, slice } of job.slices()) {
    if (!which(slice) || slice.state === "lost" || slice.state === "closed") continue;
    slice.state = "lost";
    failRegion(job, region, { ...failure, fatal: false, loss, slice });
  }
}

function isFinal(state: Slice["state"]): boolean {
  return state === "failed" || state === "closed" || state === "lost";
}
