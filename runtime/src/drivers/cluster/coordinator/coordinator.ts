// The coordinator of a job: takes what happens, decides what is to be done. It touches nothing itself.
import type { SliceStatus } from "../slot-protocol.ts";
import { answerRescale, advanceCheckpoint } from "./checkpointing.ts";
import { advanceRegions, deal, failRegion } from "./deploying.ts";
import type { JobGraph } from "./job-graph.ts";
import { JobState } from "./job-state.ts";
import { refresh, type Slice } from "./region.ts";
import { askRescale, askSavepoint, base } from "./requests.ts";
import { loseSlices, reactTo, sliceEvent } from "./slice-events.ts";
import { storageEvent } from "./storage-events.ts";
import type { CoordinatorAction, CoordinatorEvent, CoordinatorOptions, CoordinatorStart } from "./types.ts";

type EventOf<K extends CoordinatorEvent["kind"]> = Extract<CoordinatorEvent, { readonly kind: K }>;

export class Coordinator {
  readonly state: JobState;

  constructor(graph: JobGraph, options: CoordinatorOptions, start: CoordinatorStart, random: () => number, nowMs: number) {
    this.state = new JobState(graph, options, start, random, nowMs);
  }

  /** What is to be done after `event`. Deterministic in the events, their times and `random`. */
  handle(event: CoordinatorEvent, nowMs: number): readonly CoordinatorAction[] {
    const job = this.state;
    job.nowMs = Math.max(job.nowMs, nowMs);
    this.#take(event);
    for (const [taskManagerId, untilMs] of job.graceUntilMs) if (job.nowMs >= untilMs) this.#lose(taskManagerId, "did not come back");
    advanceRegions(job);
    advanceCheckpoint(job);
    // A checkpoint that completed may have changed what regions are to do, and the other way round.
    advanceRegions(job);
    answerRescale(job);
    if (!job.isDurable && job.recordAsked !== job.record) {
      job.recordAsked = job.record;
      job.emit({ kind: "writeRecord", record: job.record });
    }
    this.#tellEnd();
    return job.takeActions();
  }

  /** The ids of splits that need not be found again. */
  knownSplits(uid: string): ReadonlySet<string> {
    for (const region of this.state.regions) {
      const source = region.sources.get(uid);
      if (source === undefined) continue;
      const restored = this.state.latest?.sources.get(uid);
      return new Set([
        ...source.book.known,
        ...source.found.map(({ split }) => split.id),
        ...(restored?.splits ?? []).map(({ split }) => split.id),
      ]);
    }
    return new Set();
  }

  #take(event: CoordinatorEvent): void {
    const job = this.state;
    switch (event.kind) {
      case "registered":
        return this.#register(event);
      case "disconnected":
        job.pool.disconnect(event.taskManagerId);
        if (event.gone) this.#lose(event.taskManagerId, event.reason);
        else job.graceUntilMs.set(event.taskManagerId, job.nowMs + job.options.reconnectMs);
        return;
      case "slot":
        return this.#slotEvent(event);
      case "slotDied":
        // Told again after a reconnection: the one that has its place lives.
        if (job.pool.slotOf(event.taskManagerId, event.index)?.incarnation !== event.incarnation) return;
        job.pool.drop(event.taskManagerId, event.index);
        return loseSlices(
          this.state,
          (slice) => slice.taskManagerId === event.taskManagerId && slice.index === event.index,
          { code: "SLOT_DIED", message: `slot ${event.index} of ${event.taskManagerId} ended: ${event.reason}` },
          false,
        );
      case "slotBack":
        job.pool.add(event.taskManagerId, event.slot);
        return;
      case "discovered":
      case "discoverFailed":
        return this.#sourceEvent(event);
      case "published":
      case "savepointMade":
      case "markedCommitted":
      case "storageFailed":
        return storageEvent(this.state, event);
      case "recordWritten":
        job.durable = event.record;
        return;
      case "savepointAsked":
        return askSavepoint(job, event);
      case "stopAsked":
        if (!job.record.stopAsked && job.record.outcome === undefined) job.change({ stopAsked: true });
        return;
      case "rescaleAsked":
        return askRescale(job, event);
      case "baseDue":
        return base(job, event);
      case "tick":
        return;
    }
  }

  #register({ taskManagerId, slots, slices, saidAtMs = this.state.nowMs }: EventOf<"registered">): void {
    const job = this.state;
    job.graceUntilMs.delete(taskManagerId);
    job.pool.register(taskManagerId, slots);
    job.registeredMs = job.nowMs;
    for (const { index } of slots) job.pool.slotOf(taskManagerId, index)?.leftovers.clear();
    const mine = new Set<Slice>();
    for (const { index, status } of slices) {
      const slice = this.#adopt(taskManagerId, index, status, saidAtMs);
      if (slice !== undefined) mine.add(slice);
      else if (status.state !== "closed") {
        job.pool.slotOf(taskManagerId, index)?.leftovers.add(`${status.slice.region}#${status.slice.attempt}`);
        job.command(taskManagerId, index, status.slice, { kind: "cancel" });
      }
    }
    // Whatever was deployed there and is not any more has been lost; what was never sent can still be.
    loseSlices(
      this.state,
      (slice) => slice.taskManagerId === taskManagerId && !mine.has(slice) && slice.sent.has("deploy"),
      { code: "SLICE_LOST", message: `${taskManagerId} came back without it` },
      true,
    );
  }

  // The slice of the present attempt that `status` tells of; undefined for one that nobody wants any more.
  #adopt(taskManagerId: string, index: number, status: SliceStatus, saidAtMs: number): Slice | undefined {
    const job = this.state;
    const region = job.regions.find((one) => one.id === status.slice.region);
    if (region === undefined || region.attempt !== status.slice.attempt || region.state === "over") return undefined;
    const known = region.slices.get(status.slice.slot);
    if (known === undefined) {
      if (region.state !== "adopting" || !job.pool.adopt(status.slice.slot, taskManagerId, index)) return undefined;
      region.adopt(taskManagerId, index, status, saidAtMs);
      return region.slices.get(status.slice.slot);
    }
    if (known.taskManagerId !== taskManagerId || known.index !== index || known.state === "lost") return undefined;
    refresh(known, status, saidAtMs);
    reactTo(job, region, known, status.state);
    return known;
  }

  #slotEvent({ taskManagerId, index, event }: EventOf<"slot">): void {
    const job = this.state;
    const { region: regionId, attempt, slot } = event.slice;
    const region = job.regions.find((one) => one.id === regionId);
    const slice = region?.slices.get(slot);
    const current =
      region !== undefined &&
      slice !== undefined &&
      region.attempt === attempt &&
      slice.taskManagerId === taskManagerId &&
      slice.index === index;
    if (!current || slice.state === "lost") {
      if (event.kind === "closed") job.pool.slotOf(taskManagerId, index)?.leftovers.delete(`${regionId}#${attempt}`);
      return;
    }
    sliceEvent(job, region, slice, event);
  }

  #lose(taskManagerId: string, reason: string): void {
    this.state.graceUntilMs.delete(taskManagerId);
    this.state.pool.remove(taskManagerId);
    loseSlices(
      this.state,
      (slice) => slice.taskManagerId === taskManagerId,
      { code: "TASK_MANAGER_LOST", message: `${taskManagerId} ${reason}` },
      true,
    );
  }

  #sourceEvent(event: EventOf<"discovered"> | EventOf<"discoverFailed">): void {
    const job = this.state;
    const region = job.regions.find((one) => one.sources.get(event.uid)?.generation === event.generation);
    const source = region?.sources.get(event.uid);
    if (region === undefined || source === undefined || (region.state !== "deploying" && region.state !== "running")) return;
    if (event.kind === "discoverFailed") {
      if (source.discovered) return job.log("warn", "split discovery failed", { uid: event.uid, reason: event.failure.message });
      const { code, message } = event.failure;
      return failRegion(job, region, {
        code,
        message,
        fatal: !region.everRan && job.latest === undefined && code !== "INTERNAL",
        loss: false,
        about: { uid: event.uid },
      });
    }
    source.discovered = true;
    source.exhausted = event.exhausted;
    source.enumerator = event.enumerator;
    const splits = event.splits.map((split) => ({ split }));
    if (splits.length > 0) job.log("info", "splits discovered", { uid: event.uid, splitCount: splits.length });
    if (region.state === "deploying") source.found.push(...splits);
    else deal(job, region, event.uid, splits);
  }

  #tellEnd(): void {
    const job = this.state;
    const { durable } = job;
    if (job.overTold || durable?.outcome === undefined || job.regions.some((region) => region.state !== "over")) return;
    job.overTold = true;
    job.emit({ kind: "over", outcome: durable.outcome, ...(durable.reason === undefined ? {} : { reason: durable.reason }) });
  }
}
