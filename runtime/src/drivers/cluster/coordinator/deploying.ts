// Moves regions on: waits for slots, deploys, restarts after failures, and ends what is not wanted any more.
import type { TimedSplit } from "../../continuous/split-book.ts";
import { SplitBook } from "../../continuous/split-book.ts";
import type { SplitAssignment } from "../slot-protocol.ts";
import { placementOf, slotCount, slotsNeeded } from "./job-graph.ts";
import type { JobState } from "./job-state.ts";
import type { Region, Slice } from "./region.ts";
import type { ExceptionRecord } from "./exceptions.ts";

export interface RegionFailure {
  readonly code: string;
  readonly message: string;
  /** No restart can mend it. */
  readonly fatal: boolean;
  /** Not the job's fault (a TaskManager was lost): not counted by the restart strategy. */
  readonly loss: boolean;
  readonly slice?: Slice;
  readonly about?: Pick<ExceptionRecord, "uid" | "subtask" | "record">;
}

/** How long after the last registration all TaskManagers count as back, when there are slots enough, ms. */
const settleMs = 1000;

/** One step of every region, as far as it can go now. */
export function advanceRegions(job: JobState): void {
  job.waitingFor = null;
  for (const region of job.regions) {
    if (region.state === "adopting") advanceAdopting(job, region);
    if (region.state === "cancelling") advanceCancelling(job, region);
    if (job.ending !== undefined) {
      endRegion(job, region);
      continue;
    }
    if (region.state === "pausing" && job.nowMs >= region.resumeAtMs) job.move(region, "waiting");
    if (region.state === "waiting") advanceWaiting(job, region);
    if (region.state === "deploying") advanceDeploying(job, region);
    if (region.state === "running") keepAssigned(job, region);
  }
}

/** A region cannot go on as it is. */
export function failRegion(job: JobState, region: Region, failure: RegionFailure): void {
  if (region.state !== "adopting" && region.state !== "deploying" && region.state !== "running") return;
  const { code, message, slice, loss } = failure;
  const exception: ExceptionRecord = {
    atMs: job.nowMs,
    region: region.id,
    attempt: region.attempt,
    code,
    message,
    ...(slice === undefined ? {} : { slot: slice.id.slot, taskManagerId: slice.taskManagerId }),
    ...failure.about,
  };
  job.recoveries.failed(region, exception);
  if (job.exceptions.add(exception, failure.fatal))
    job.log("error", "a record fails every attempt", { ...exception.record, uid: exception.uid, reason: message });
  job.lastFailure = message;
  const ranMs = region.state === "running" ? job.nowMs - region.ranSinceMs : 0;
  const pauseMs = failure.fatal
    ? undefined
    : loss
      ? region.losses.next(ranMs, job.random(), job.nowMs)
      : region.backoff.next(ranMs, job.random(), job.nowMs);
  // The first loss costs no pause: the slots that are left, or a spare TaskManager, can take over at once.
  region.resumeAtMs = loss && region.losses.attempts === 1 ? job.nowMs : job.nowMs + (pauseMs ?? 0);
  cancelRegion(job, region, "pause");
  if (pauseMs === undefined || job.ending !== undefined) {
    job.ending ??= { outcome: "failed", reason: `${code}: ${message}${placeOf(exception)}` };
    return;
  }
  job.change({ restarts: job.record.restarts + 1 });
  job.log("warn", "region failed, restarting", {
    region: region.id,
    code,
    reason: message,
    attempt: region.attempt,
    pauseMs: Math.round(region.resumeAtMs - job.nowMs),
  });
}

function placeOf({ uid, record }: ExceptionRecord): string {
  return record === undefined
    ? ""
    : ` (at position ${record.position} of split ${record.splitId}${uid === undefined ? "" : `, in ${uid}`})`;
}

export function cancelRegion(job: JobState, region: Region, after: "pause" | "over"): void {
  for (const { uid, source } of region.plan.vertices) if (source) job.emit({ kind: "stopDiscovery", uid });
  region.afterCancel = after;
  job.move(region, "cancelling");
  for (const slice of region.slices.values()) slice.ack = undefined;
}

function advanceCancelling(job: JobState, region: Region): void {
  const late = job.nowMs - region.sinceMs >= job.options.cancelTimeoutMs;
  for (const slice of region.slices.values()) {
    if (slice.state === "closed" || slice.state === "lost") continue;
    if (!job.pool.isConnected(slice.taskManagerId)) {
      // It is told when it comes back; until then its slot is nobody's.
      job.pool.slotOf(slice.taskManagerId, slice.index)?.leftovers.add(`${region.id}#${slice.id.attempt}`);
      slice.state = "lost";
      continue;
    }
    job.send(slice, "cancel", { kind: "cancel" });
    if (late && !slice.sent.has("reset")) {
      slice.sent.add("reset");
      job.emit({ kind: "resetSlot", taskManagerId: slice.taskManagerId, index: slice.index });
    }
  }
  if (region.every((slice) => slice.state === "closed" || slice.state === "lost")) {
    job.move(region, region.afterCancel === "over" ? "over" : "pausing");
  }
}

// The end is written down before anything is cancelled: whoever leads next must not start the job again.
function endRegion(job: JobState, region: Region): void {
  const { ending } = job;
  if (ending === undefined) return;
  if (job.record.outcome === undefined) {
    job.change({
      outcome: ending.outcome,
      stopAsked: false,
      savepoints: [],
      ...(ending.reason === undefined ? {} : { reason: ending.reason }),
    });
  }
  if (job.durable?.outcome === undefined) return;
  if (region.state === "waiting" || region.state === "pausing") job.move(region, "over");
  else if (region.state === "cancelling") region.afterCancel = "over";
  else if (region.state !== "over") {
    cancelRegion(job, region, "over");
    advanceCancelling(job, region);
  }
}

function advanceAdopting(job: JobState, region: Region): void {
  const missing = !region.complete || !region.every((slice) => slice.state !== "lost");
  if (missing) {
    // Everybody is back who could run it, and nobody does.
    const nobody = job.pool.present >= slotsNeeded(job.graph, job.record.parallelism) && job.nowMs - job.registeredMs >= settleMs;
    if (!nobody && job.nowMs - region.sinceMs < job.options.adoptMs) return;
    const there = [...region.slices.values()].filter((slice) => slice.state !== "lost").length;
    failRegion(job, region, {
      code: "TASK_MANAGER_LOST",
      message: `of the slices that ran, ${there} came back within ${Math.round(job.nowMs - region.sinceMs)} ms`,
      fatal: false,
      loss: true,
    });
    return;
  }
  openSources(job, region);
  adoptSplits(job, region);
  // What runs does not wait for a new look at its sources.
  for (const source of region.sources.values()) source.discovered = true;
  region.ranSinceMs = job.nowMs;
  // The next checkpoint comes when it would have come under the leader before, so output keeps its rhythm; at once if that is over or unknown.
  const interval = job.options.checkpointIntervalMs;
  job.checkpointDueMs = Math.min(job.checkpointDueMs, (region.checkpointBeganMs ?? job.nowMs - interval) + interval);
  job.move(region, "deploying");
  job.log("info", "running slices taken over", { region: region.id, attempt: region.attempt, slices: region.slices.size });
}

function advanceWaiting(job: JobState, region: Region): void {
  const { graph, pool, pending } = job;
  // Its part of the checkpoint is being published: what to restart from is known when that is settled.
  if (pending?.phase === "publishing") {
    job.waitingFor ??= `checkpoint ${pending.id} to be published`;
    return;
  }
  const vertices = placementOf(graph, region.plan, job.record.parallelism);
  const needed = slotsNeeded(graph, job.record.parallelism);
  pool.fill(needed);
  const numbers = Array.from({ length: slotCount(vertices) }, (_, number) => number);
  pool.replaceAway(numbers);
  const unmapped = numbers.filter((number) => pool.at(number) === undefined);
  if (unmapped.length > 0) {
    const missing = Math.max(unmapped.length, needed - pool.present);
    job.waitingFor ??= `${missing} more slot${missing === 1 ? "" : "s"}: region "${region.id}" needs slots ${unmapped.join(", ")}; ${pool.present} of ${needed} are there; start another TaskManager or lower the parallelism`;
    return;
  }
  const busy = numbers.filter((number) => !pool.isReady(number));
  if (busy.length > 0) {
    clearLeftovers(job, busy);
    job.waitingFor ??= `slots ${busy.join(", ")} to be free and connected`;
    return;
  }
  // The number is used up before it is used, so that no two deployments ever share it.
  const attempt = region.attempt + 1;
  if (job.durable?.attempts[region.id] !== attempt) {
    if (job.record.attempts[region.id] !== attempt) job.change({ attempts: { ...job.record.attempts, [region.id]: attempt } });
    return;
  }
  region.begin(attempt, vertices, job.latest?.checkpointId ?? 0, (number) => pool.at(number) as { taskManagerId: string; index: number });
  openSources(job, region);
  job.move(region, "deploying");
  job.log("info", "region deploying", {
    region: region.id,
    attempt: region.attempt,
    slots: region.slices.size,
    restoredFrom: job.latest?.url,
  });
}

// Slices of earlier deployments that do not close: their thread is ended.
function clearLeftovers(job: JobState, numbers: readonly number[]): void {
  for (const number of numbers) {
    const slot = job.pool.at(number);
    if (slot === undefined || slot.leftovers.size === 0 || !job.pool.isConnected(slot.taskManagerId)) continue;
    slot.leftoversSinceMs ??= job.nowMs;
    if (job.nowMs - slot.leftoversSinceMs < job.options.cancelTimeoutMs) continue;
    slot.leftoversSinceMs = undefined;
    job.emit({ kind: "resetSlot", taskManagerId: slot.taskManagerId, index: slot.index });
  }
}

function openSources(job: JobState, region: Region): void {
  for (const { uid, source } of region.plan.vertices) {
    if (!source) continue;
    const count = region.vertices.find((vertex) => vertex.uid === uid)?.parallelism ?? 0;
    const book = new SplitBook(count);
    const restored = job.latest?.sources.get(uid);
    book.addFinished(restored?.finished ?? []);
    const generation = ++job.generation;
    region.sources.set(uid, { book, generation, discovered: false, exhausted: false, found: [], enumerator: restored?.enumerator });
  }
  for (const [uid, { book, generation, enumerator }] of region.sources) {
    const known = new Set([...book.known, ...(job.latest?.sources.get(uid)?.splits ?? []).map(({ split }) => split.id)]);
    job.emit({ kind: "discover", uid, generation, enumerator, known });
  }
}

// What the slices of an earlier leader hold and have finished. What the snapshot has and nobody knows of was on its way to them: it is dealt again.
function adoptSplits(job: JobState, region: Region): void {
  for (const [uid, { book }] of region.sources) {
    const restored = new Map((job.latest?.sources.get(uid)?.splits ?? []).map((one) => [one.split.id, one]));
    for (const { adopted } of region.slices.values()) {
      for (const one of adopted?.finishedSplits ?? []) if (one.uid === uid) book.addFinished(one.splitIds);
      for (const one of adopted?.splits ?? []) {
        if (one.uid !== uid) continue;
        for (const id of one.splitIds) book.hold(one.subtask, restored.get(id) ?? { split: { id, position: null } });
      }
    }
  }
}

function advanceDeploying(job: JobState, region: Region): void {
  const { options, graph, latest, pool } = job;
  for (const slice of region.slices.values()) {
    if (slice.state !== "deploying") continue;
    const restore =
      latest === undefined || region.restoredId === 0
        ? undefined
        : {
            url: latest.url,
            ...(latest.sha256 === undefined ? {} : { sha256: latest.sha256 }),
            checkpointId: latest.checkpointId,
            committed: latest.committed,
            allowNonRestoredState: options.allowNonRestoredState,
          };
    job.send(slice, "deploy", {
      kind: "deploy",
      planFingerprint: graph.fingerprint,
      vertices: region.vertices,
      slots: pool.addresses(region.slices.values()),
      ...(restore === undefined ? {} : { restore }),
      checkpointIntervalMs: options.checkpointIntervalMs,
      alignmentTimeoutMs: options.alignmentTimeoutMs,
    });
  }
  // Who is away could not be given its splits.
  const ready = region.every((slice) => slice.state !== "deploying" && slice.state !== "lost" && pool.isConnected(slice.taskManagerId));
  const discovered = [...region.sources.values()].every((source) => source.discovered);
  if (!ready || !discovered) {
    if (job.nowMs - region.sinceMs >= options.deployTimeoutMs) {
      const open = [...region.slices.values()].filter((slice) => slice.state === "deploying").map((slice) => slice.id.slot);
      const what = open.length > 0 ? `slots ${open.join(", ")} were not deployed` : "no splits were found";
      const message = `${what} within ${options.deployTimeoutMs} ms`;
      failRegion(job, region, { code: "DEPLOY_TIMEOUT", message, fatal: false, loss: false });
    }
    return;
  }
  // The job ends with a checkpoint that has been taken: this deployment only commits it.
  if (job.pending?.ends === true && job.pending.published) return;
  assignSplits(job, region);
  for (const slice of region.slices.values()) if (slice.state === "deployed") job.send(slice, "start", { kind: "start" });
  region.everRan = true;
  region.ranSinceMs = job.nowMs;
  job.move(region, "running");
}

// Every reader hears of its first splits, even if there are none: it may then be idle.
function assignSplits(job: JobState, region: Region): void {
  for (const [uid, source] of region.sources) {
    const restored = job.latest?.sources.get(uid)?.splits ?? [];
    const dealt = source.book.deal([...restored, ...source.found.splice(0)]);
    for (const [subtask, splits] of dealt.entries()) assign(job, region, uid, subtask, splits);
  }
  // What slices said before they were given these says nothing about them.
  for (const slice of region.slices.values()) if (job.pool.isConnected(slice.taskManagerId)) slice.adopted = undefined;
}

/** New splits of a source: they go to its readers now, or with the rest when the region starts. */
export function deal(job: JobState, region: Region, uid: string, splits: readonly TimedSplit[]): void {
  const source = region.sources.get(uid);
  source?.book.deal(splits).forEach((some, subtask) => {
    if (some.length > 0) assign(job, region, uid, subtask, some);
  });
}

function assign(job: JobState, region: Region, uid: string, subtask: number, splits: readonly TimedSplit[]): void {
  const slice = region.sliceOf(uid, subtask);
  const source = region.sources.get(uid);
  if (slice === undefined || source === undefined || !job.pool.isConnected(slice.taskManagerId) || slice.state === "lost") return;
  const complete = source.exhausted;
  const assignment: SplitAssignment = { uid, subtask, splits, complete };
  if (complete) slice.sent.add(`complete ${uid} ${subtask}`);
  job.command(slice.taskManagerId, slice.index, slice.id, { kind: "assign", assignments: [assignment] });
}

// After a connection broke: whatever the slice does not say it has was lost on the way.
function keepAssigned(job: JobState, region: Region): void {
  for (const [uid, source] of region.sources) {
    for (let subtask = 0; subtask < subtasks(region, uid); subtask++) {
      const slice = region.sliceOf(uid, subtask);
      if (slice === undefined || !job.pool.isConnected(slice.taskManagerId)) continue;
      const told = slice.adopted;
      if (told !== undefined) {
        const has = new Set(
          [...told.splits, ...told.finishedSplits]
            .filter((one) => one.uid === uid && one.subtask === subtask)
            .flatMap((one) => one.splitIds),
        );
        const lost = source.book.heldBut(subtask, has);
        if (lost.length > 0) assign(job, region, uid, subtask, lost);
      }
      if (source.exhausted && !slice.sent.has(`complete ${uid} ${subtask}`)) assign(job, region, uid, subtask, []);
    }
  }
  for (const slice of region.slices.values()) {
    if (!job.pool.isConnected(slice.taskManagerId)) continue;
    slice.adopted = undefined;
    if (slice.state === "deployed") job.send(slice, "start", { kind: "start" });
  }
}

function subtasks(region: Region, uid: string): number {
  return region.vertices.find((vertex) => vertex.uid === uid)?.parallelism ?? 0;
}
