// Moves the checkpoint on: one at a time; begun, it is always finished, whoever restarts or leads meanwhile.
import type { SavepointMode } from "../../continuous/job-run.ts";
import { acksOf, type CheckpointKind, PendingCheckpoint, sourceRecords, sourcesIn } from "./checkpoint.ts";
import { cancelRegion, failRegion } from "./deploying.ts";
import { placementOf, samePlacement, slotsNeeded } from "./job-graph.ts";
import type { JobState } from "./job-state.ts";
import type { Region } from "./region.ts";
import type { SavepointIntent } from "./types.ts";

type After = "go" | "hold" | "drain";

/** One step of the checkpoint that is under way, or the start of one. */
export function advanceCheckpoint(job: JobState): void {
  if (job.ending !== undefined) return;
  if (!job.settled && !settle(job)) return;
  commitLate(job);
  for (;;) {
    const before = job.pending?.phase;
    if (job.pending === undefined) startDue(job);
    const { pending } = job;
    if (pending === undefined) return;
    step(job, pending);
    if (job.pending?.phase === before) return;
  }
}

// Once every slice that ran before this leader has told what it knows, the checkpoint that was under way is this leader's to finish.
function settle(job: JobState): boolean {
  if (job.regions.some((region) => region.state === "adopting")) return false;
  job.settled = true;
  const { latest, record } = job;
  const latestId = latest?.checkpointId ?? 0;
  const begun = job.slices().flatMap(({ slice }) => (slice.pending === undefined || slice.state === "lost" ? [] : [slice.pending]));
  const id = Math.max(0, ...begun.map((one) => one.checkpointId));
  const stops = begun.some((one) => one.checkpointId === id && one.after !== "go");
  const isMade = (intent: SavepointIntent): boolean => job.savepoints.get(intent.id)?.result !== undefined;
  const made = record.savepoints.find((intent) => job.savepoints.get(intent.id)?.result?.checkpointId === latestId);
  const stop = record.savepoints.find((intent) => intent.mode !== "keep" && !isMade(intent));
  const stopKind = stop !== undefined ? intentKind(stop.mode) : record.stopAsked ? "stop" : "rescale";
  if (id > latestId) {
    job.pending = checkpoint(job, id, stops ? stopKind : "periodic", "triggering", stops ? stop : keepIntent(job));
    job.nextCheckpointId = id + 1;
  } else if (made !== undefined) {
    // The savepoint is complete; that its output is committed may not be recorded with it yet.
    job.pending = checkpoint(job, latestId, intentKind(made.mode), "committing", made);
  } else if (id > 0 && id === latestId && stops) {
    job.pending = checkpoint(job, id, stopKind, stop === undefined ? "committing" : "copying", stop);
  } else if (latest !== undefined && latest.own && !latest.committed) {
    job.pending = checkpoint(job, latestId, "restored", "committing", undefined);
  }
  const open = record.savepoints.filter((intent) => !isMade(intent) || intent === job.pending?.savepoint);
  if (open.length < record.savepoints.length) job.change({ savepoints: open });
  return true;
}

function intentKind(mode: SavepointMode): CheckpointKind {
  return mode === "keep" ? "savepoint" : mode;
}

function keepIntent(job: JobState): SavepointIntent | undefined {
  const next = job.nextSavepoint;
  return next?.mode === "keep" ? next : undefined;
}

function checkpoint(
  job: JobState,
  id: number,
  kind: CheckpointKind,
  phase: "triggering" | "copying" | "committing",
  savepoint: SavepointIntent | undefined,
): PendingCheckpoint {
  const enumerators = new Map<string, unknown>();
  for (const region of job.regions) for (const [uid, source] of region.sources) enumerators.set(uid, source.enumerator);
  const made = new PendingCheckpoint({
    id,
    kind,
    phase,
    savepoint,
    nowMs: job.nowMs,
    timeoutMs: job.options.checkpointTimeoutMs,
    enumerators,
  });
  job.remember(made.record);
  return made;
}

// Slices that were away when a checkpoint was committed by the others.
function commitLate(job: JobState): void {
  const done = job.pending?.id === job.latest?.checkpointId ? 0 : (job.latest?.checkpointId ?? 0);
  for (const { region, slice } of job.slices()) {
    if (region.state !== "running" || slice.pending === undefined || slice.pending.checkpointId > done) continue;
    job.send(slice, `commit ${slice.pending.checkpointId}`, { kind: "commit", checkpointId: slice.pending.checkpointId });
  }
}

function startDue(job: JobState): void {
  for (const region of job.regions) {
    // It stopped for a checkpoint that is complete, and whoever wanted that is gone: it goes on from there.
    if (region.state === "running" && [...region.slices.values()].some((slice) => slice.state === "holding")) redeploy(job, region);
  }
  if (job.regions.some((region) => region.state !== "running")) return;
  const changed = job.regions.filter((region) => mustChange(job, region));
  const kind = dueKind(job, changed.length > 0);
  if (kind === undefined) return;
  const { options } = job;
  const savepoint = kind === "final" || kind === "rescale" ? keepIntent(job) : kind === "periodic" ? undefined : job.nextSavepoint;
  // What a savepoint is for must be known to whoever leads next before the first slice stops for it.
  if ((savepoint !== undefined || job.record.stopAsked || kind === "rescale") && !job.isDurable) return;
  job.pending = checkpoint(job, job.nextCheckpointId++, kind, "triggering", savepoint);
  if (job.rescale !== undefined && kind === "rescale") job.rescale.checkpointId = job.pending.id;
  // Counted from when it was due, or looks at the clock that come late would add up.
  const lateMs = kind === "periodic" ? job.nowMs - job.checkpointDueMs : 0;
  job.checkpointDueMs = job.nowMs + options.checkpointIntervalMs - (lateMs < options.checkpointIntervalMs ? lateMs : 0);
}

function dueKind(job: JobState, rescale: boolean): CheckpointKind | undefined {
  const ended = job.regions.every((region) => region.every((slice) => slice.state === "ended"));
  const next = job.nextSavepoint;
  if (next !== undefined && next.mode !== "keep") return intentKind(next.mode);
  if (job.record.stopAsked) return "stop";
  if (ended) return "final";
  if (rescale) return "rescale";
  if (next !== undefined) return "savepoint";
  return job.nowMs >= job.checkpointDueMs ? "periodic" : undefined;
}

/** Its vertices are to have other numbers of subtasks. */
function mustChange(job: JobState, region: Region): boolean {
  return !samePlacement(placementOf(job.graph, region.plan, job.record.parallelism), region.vertices);
}

function redeploy(job: JobState, region: Region): void {
  region.resumeAtMs = job.nowMs;
  cancelRegion(job, region, "pause");
}

function step(job: JobState, pending: PendingCheckpoint): void {
  switch (pending.phase) {
    case "triggering":
      return trigger(job, pending);
    case "publishing":
    case "recording":
    case "copying":
      return ask(job, pending);
    case "committing":
      return commit(job, pending);
    case "done":
      return;
  }
}

function afterFor(job: JobState, pending: PendingCheckpoint, region: Region): After {
  const key = `${region.id}#${region.attempt}`;
  let after = pending.afters.get(key);
  if (after === undefined) {
    after = [...region.slices.values()].find((slice) => slice.pending?.checkpointId === pending.id)?.pending?.after;
    if (after === undefined && pending.kind === "drain") after = "drain";
    if (after === undefined && pending.ends) after = "hold";
    after ??= pending.kind === "rescale" && mustChange(job, region) ? "hold" : "go";
    pending.afters.set(key, after);
  }
  return after;
}

function trigger(job: JobState, pending: PendingCheckpoint): void {
  for (const region of job.regions) {
    if (region.state !== "running") continue;
    // A region that restarted since reads to its end first: what it has not read would be left out.
    if (pending.kind === "final" && !region.every((slice) => slice.state === "ended" || slice.state === "holding")) continue;
    const after = afterFor(job, pending, region);
    for (const slice of region.slices.values()) {
      if (slice.ack?.checkpointId === pending.id) continue;
      job.send(slice, `trigger ${pending.id}`, { kind: "trigger", checkpointId: pending.id, after });
    }
  }
  const acks = acksOf(job.regions, pending.id);
  if (acks === undefined) return overdue(job, pending);
  pending.move("publishing");
}

// It goes on; but what holds it up for too long is restarted.
function overdue(job: JobState, pending: PendingCheckpoint): void {
  if (job.nowMs < pending.deadlineMs) return;
  pending.deadlineMs = job.nowMs + job.options.checkpointTimeoutMs;
  const open = job.slices().filter(({ slice }) => slice.ack?.checkpointId !== pending.id);
  const places = open.map(({ region, slice }) => `${region.id}/${slice.id.slot} (${slice.state})`).join(", ");
  pending.failed(`not complete within ${job.options.checkpointTimeoutMs} ms: waiting for ${places}`);
  job.log("warn", "checkpoint is late", { checkpointId: pending.id, waitingFor: places, failures: pending.failures });
  if (pending.failures <= job.options.tolerableFailures) return;
  pending.failures = 0;
  for (const region of new Set(open.map((one) => one.region))) {
    failRegion(job, region, {
      code: "CHECKPOINT_FAILED",
      message: `checkpoint ${pending.id}: ${pending.record.failures.at(-1) ?? ""}`,
      fatal: false,
      loss: false,
    });
  }
}

// A step in the storage: asked for until it succeeds.
function ask(job: JobState, pending: PendingCheckpoint): void {
  if (pending.asked || job.nowMs < pending.retryAtMs) return;
  pending.asked = true;
  const { savepoint } = pending;
  if (pending.phase === "publishing") {
    const acks = pending.acks ?? acksOf(job.regions, pending.id) ?? [];
    pending.acks = acks;
    const sources = sourceRecords(job.regions, acks, job.latest, pending.enumerators);
    pending.sources = sources;
    job.emit({ kind: "publish", checkpointId: pending.id, acks: acks.map(({ ack }) => ack), sources });
  } else if (pending.phase === "copying" && savepoint !== undefined) {
    job.emit({ kind: "makeSavepoint", checkpointId: pending.id, id: savepoint.id });
  } else {
    job.emit({ kind: "markCommitted", checkpointId: pending.id, ...(savepoint === undefined ? {} : { savepointId: savepoint.id }) });
  }
}

/** The checkpoint is in the storage for good: restarts begin from it. */
export function published(job: JobState, pending: PendingCheckpoint, about: { readonly url: string; readonly sha256?: string }): void {
  job.latest = {
    checkpointId: pending.id,
    url: about.url,
    ...(about.sha256 === undefined ? {} : { sha256: about.sha256 }),
    committed: false,
    own: true,
    sources: sourcesIn(
      (pending.acks ?? []).map(({ ack }) => ack),
      pending.sources,
    ),
  };
  pending.record.location = about.url;
  pending.record.phase = "committing";
  pending.move(pending.savepoint === undefined ? "committing" : "copying");
}

function commit(job: JobState, pending: PendingCheckpoint): void {
  let open = 0;
  for (const region of job.regions) {
    // A region that restarts from this checkpoint commits it by that.
    const restored = region.state === "deploying" && region.restoredId === pending.id;
    if (region.state !== "running" && !restored) open++;
    for (const slice of region.slices.values()) {
      if (restored ? slice.state !== "deploying" && slice.state !== "lost" : slice.committedId >= pending.id) continue;
      open++;
      if (region.state === "running") job.send(slice, `commit ${pending.id}`, { kind: "commit", checkpointId: pending.id });
    }
  }
  if (open === 0) pending.move("recording");
}

/** All sinks have committed and that is recorded: what the checkpoint was taken for can happen. */
export function completed(job: JobState, pending: PendingCheckpoint): void {
  pending.record.phase = "completed";
  pending.record.durationMs = job.nowMs - pending.startedMs;
  if (job.latest?.checkpointId === pending.id) job.latest = { ...job.latest, committed: true };
  job.pending = undefined;
  job.checkpointDueMs = Math.max(job.checkpointDueMs, job.nowMs + job.options.minPauseMs);
  const { savepoint } = pending;
  if (savepoint !== undefined) job.change({ savepoints: job.record.savepoints.filter(({ id }) => id !== savepoint.id) });
  if (pending.kind === "stop" || pending.kind === "drain" || pending.kind === "final") {
    job.ending = { outcome: pending.kind === "stop" ? "stopped" : pending.kind === "drain" ? "drained" : "ended" };
    return;
  }
  for (const region of job.regions) {
    const held = (pending.afters.get(`${region.id}#${region.attempt}`) ?? "go") !== "go";
    if (region.state === "running" && held) redeploy(job, region);
  }
}

/** Answers who asked for another parallelism, when everything runs with it. */
export function answerRescale(job: JobState): void {
  const { rescale, pending } = job;
  if (rescale === undefined || !job.settled || pending?.kind === "rescale") return;
  if (job.regions.some((region) => region.state !== "running" || mustChange(job, region))) return;
  job.pool.shrink(slotsNeeded(job.graph, job.record.parallelism));
  const vertices = Object.fromEntries(job.regions.flatMap((region) => region.vertices.map(({ uid, parallelism }) => [uid, parallelism])));
  const gapMs = rescale.heldSinceMs === undefined ? 0 : job.nowMs - rescale.heldSinceMs;
  const result = { checkpointId: rescale.checkpointId, gapMs, vertices };
  for (const requestId of rescale.requestIds) job.emit({ kind: "answerRescale", requestId, result });
  job.rescale = undefined;
}
