// One slice from its deployment to its end: opens and connects its instances, runs them, and tells what becomes of it.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { WakeFlag } from "../../../base/wake-flag.ts";
import { Uploader } from "../../../checkpoint/upload/uploader.ts";
import { defaultCompaction } from "../../../checkpoint/store/compaction-policy.ts";
import { JobLoop } from "../../continuous/job-loop.ts";
import { Exchange } from "../../exchange/exchange.ts";
import { buildTask } from "../../task/build-task.ts";
import type { Placement } from "../../task/placement.ts";
import type { Task } from "../../task/task.ts";
import { deadLetterUid } from "../../task/task-parts.ts";
import type { DeployTimes, SliceState, SliceStatus, SlotCommand, SplitAssignment, VertexPlacement } from "../slot-protocol.ts";
import { connectPeers } from "./connect-peers.ts";
import { failureNews } from "./failure-news.ts";
import { SliceBases } from "./slice-bases.ts";
import { SliceCheckpoints, type SliceNews } from "./slice-checkpoints.ts";
import { deadLetterKind } from "./open-restore.ts";
import { sliceReport } from "./slice-report.ts";
import { mayMove } from "./slice-state.ts";
import type { SlotJob } from "./slot-job.ts";

export type Deploy = Extract<SlotCommand, { readonly kind: "deploy" }>;

const reportMs = 1000;
const maxCarriedBytes = 512 * 1024 * 1024;

export class Slice {
  readonly deploy: Deploy;
  readonly #job: SlotJob;
  readonly #tell: (news: SliceNews) => void;
  readonly #log: Log;
  readonly #signal = new WakeFlag();
  readonly #directory: string;
  readonly #complete = new Set<string>();
  #state: SliceState = "deploying";
  #task: Task | undefined;
  #loop: JobLoop | undefined;
  #checkpoints: SliceCheckpoints | undefined;
  #bases: SliceBases | undefined;
  #exchange: Exchange | undefined;
  #running: Promise<void> = Promise.resolve();
  #deploying: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #cancelReport: () => void = () => {};
  /** Since when it is wanted. */
  readonly #askedMs = performance.now();
  #snapshotMs = 0;

  constructor(job: SlotJob, deploy: Deploy, tell: (news: SliceNews) => void) {
    this.#job = job;
    this.deploy = deploy;
    this.#tell = tell;
    const { region, attempt, slot } = deploy.slice;
    this.#log = job.log.child({ region, attempt, slot });
    this.#directory = join(job.directory, `${region.replaceAll(/[^A-Za-z0-9_.-]/g, "_")}-${attempt}`);
  }

  get state(): SliceState {
    return this.#state;
  }

  /** Opens everything; the outcome is told. */
  begin(): void {
    this.#deploying = this.#open().then(
      (times) => {
        if (!this.#isOver) this.#enter("deployed", { kind: "deployed", times });
      },
      (error: unknown) => this.#fail(error),
    );
  }

  async #open(): Promise<DeployTimes> {
    const beganMs = performance.now();
    const { planFingerprint, dataflow, reception, transport, connectTimeoutMs } = this.#job;
    const { slice, epoch, slots } = this.deploy;
    if (this.deploy.planFingerprint !== planFingerprint) {
      throw new MillraceError(
        "SLOT_PLAN_DIFFERS",
        `job ${dataflow.name}`,
        `its module gives plan ${planFingerprint} here, the leader has ${this.deploy.planFingerprint}`,
        "give all processes the same module and the same parameters, and let nothing else decide what it builds",
      );
    }
    const exchange = new Exchange(this.#job.exchange, {
      barrier: (channel, checkpointId, ageMs, drain) => {
        this.#checkpoints?.heardOf(checkpointId);
        this.#task?.cuts.barrierCame(channel, { checkpointId, drain, sinceMs: performance.now() - ageMs });
      },
      rows: (channel, frame) => this.#task?.cuts.rowsCame(channel, frame),
      failed: (error, lostSlot) => this.#fail(error, lostSlot),
      wake: () => this.#signal.wake(),
    });
    this.#exchange = exchange;
    reception.expect({ slice, epoch, planFingerprint }, (from, wire) => exchange.accepted(from, wire));
    const task = await this.#build(exchange);
    const builtMs = performance.now();
    exchange.opened();
    this.#task = task;
    const { uploader, bases } = this.#uploads(task);
    this.#bases = bases;
    this.#checkpoints = new SliceCheckpoints({
      task,
      uploader,
      log: this.#log,
      facts: { kind: (uid) => this.#kind(uid), parallelism: (uid) => this.#vertex(uid)?.parallelism ?? 1 },
      alignmentTimeoutMs: this.deploy.alignmentTimeoutMs,
      onCaptured: (checkpointId, capture) => bases?.captured(checkpointId, capture),
      tell: (news) => this.#say(news),
      fail: (error) => this.#fail(error),
      wake: () => this.#signal.wake(),
      isOver: () => this.#isOver,
    });
    const { region, attempt, slot } = slice;
    await connectPeers({
      exchange,
      transport,
      slots,
      hello: { job: dataflow.name, planFingerprint, region, attempt, epoch, from: slot },
      timeoutMs: connectTimeoutMs,
      isOver: () => this.#isOver,
    });
    const [snapshotMs, connectMs] = [this.#snapshotMs, performance.now() - builtMs];
    return { clearingMs: beganMs - this.#askedMs, snapshotMs, instancesMs: builtMs - beganMs - snapshotMs, connectMs };
  }

  async #build(exchange: Exchange): Promise<Task> {
    const { dataflow, maxParallelism, clock, stateBackend, badRows, deadLetterSink, openSnapshot, bufferBytes } = this.#job;
    await mkdir(this.#directory, { recursive: true });
    const { restore } = this.deploy;
    const fromMs = performance.now();
    const opened = restore === undefined ? undefined : await openSnapshot(restore);
    this.#snapshotMs = performance.now() - fromMs;
    const letters = this.#vertex(deadLetterUid);
    const slot = this.deploy.slice.slot;
    try {
      return await buildTask({
        jobName: dataflow.name,
        // What other regions run is no part of this.
        dataflow: { name: dataflow.name, nodes: dataflow.nodes.filter((node) => this.#vertex(node.uid) !== undefined) },
        parallelism: 1,
        maxParallelism,
        clock,
        log: this.#log,
        stateBackend,
        ...(bufferBytes === undefined ? {} : { bufferBytes }),
        workDirectory: this.#directory,
        checkpointIntervalMs: this.deploy.checkpointIntervalMs,
        badRows,
        ...(deadLetterSink === undefined || letters === undefined ? {} : { deadLetterSink }),
        ...(letters === undefined
          ? {}
          : {
              deadLetters: {
                parallelism: letters.parallelism,
                subtasks: [...letters.slots.keys()].filter((subtask) => letters.slots[subtask] === slot),
              },
            }),
        placement: this.#placement(exchange),
        ...(opened === undefined ? {} : { restore: opened.restore }),
        wake: () => this.#signal.wake(),
      });
    } finally {
      await opened?.close();
    }
  }

  #placement(exchange: Exchange): Placement {
    return {
      parallelismOf: (node) => this.#vertex(node.uid)?.parallelism ?? 0,
      slotOf: (uid, subtask) => this.#vertex(uid)?.slots[subtask] ?? -1,
      slot: this.deploy.slice.slot,
      exchange,
    };
  }

  #uploads(task: Task): { readonly uploader: Uploader | undefined; readonly bases: SliceBases | undefined } {
    const { snapshots } = this.#job;
    if (snapshots === undefined) return { uploader: undefined, bases: undefined };
    const uploader = new Uploader({ ...snapshots, smallBaseBytes: defaultCompaction.smallBaseBytes, maxCarriedBytes });
    uploader.setEpoch(this.deploy.epoch);
    return { uploader, bases: new SliceBases(task, uploader, this.#log) };
  }

  #vertex(uid: string): VertexPlacement | undefined {
    return this.deploy.vertices.find((vertex) => vertex.uid === uid);
  }

  #kind(uid: string): string {
    if (uid === deadLetterUid) return deadLetterKind;
    return this.#job.dataflow.nodes.find((node) => node.uid === uid)?.kind ?? "unknown";
  }

  /** Begins to process. */
  start(): void {
    const task = this.#task;
    if (this.#state !== "deployed" || task === undefined) return;
    const loop = new JobLoop(task, this.#job.clock, this.#signal, {
      betweenBatches: () => this.#betweenBatches(task),
      isComplete: (source) =>
        this.#checkpoints?.isDraining === true || (this.#complete.has(`${source.subtask} ${source.uid}`) && source.exhausted),
      finished: () => {
        if (this.#state === "running") this.#enter("ended", { kind: "ended" });
        return "stay";
      },
      nextDueMs: () => this.#checkpoints?.dueMs ?? Infinity,
    });
    this.#loop = loop;
    this.#enter("running");
    this.#running = loop.run().then(
      () => {},
      (error: unknown) => this.#fail(error),
    );
  }

  #betweenBatches(task: Task): "go" | "hold" | "leave" {
    if (this.#isOver) return "leave";
    const checkpoints = this.#checkpoints as SliceCheckpoints;
    checkpoints.step(performance.now());
    if (checkpoints.isHolding) {
      if (this.#state === "running" || this.#state === "ended") this.#enter("holding");
      return "hold";
    }
    // A base tells what it relates to by the last capture, so none is read while instances are captured one by one.
    if (task.cuts.current === undefined) this.#bases?.step();
    return "go";
  }

  /** Hands splits to the sources. */
  assign(assignments: readonly SplitAssignment[]): void {
    const nowMs = this.#job.clock.now();
    for (const { uid, subtask, splits, complete } of assignments) {
      const source = this.#task?.sources.find((one) => one.uid === uid && one.subtask === subtask);
      if (source === undefined) continue;
      const watermarks = new Map<string, number>();
      for (const { split, watermarkMs } of splits) if (watermarkMs !== undefined) watermarks.set(split.id, watermarkMs);
      source.assign(
        splits.map(({ split }) => split),
        watermarks,
        nowMs,
      );
      if (complete) this.#complete.add(`${subtask} ${uid}`);
    }
    this.#signal.wake();
  }

  trigger(checkpointId: number, after: "go" | "hold" | "drain"): void {
    this.#checkpoints?.trigger(checkpointId, after);
  }

  commit(checkpointId: number): void {
    this.#checkpoints?.commit(checkpointId);
  }

  base(uid: string, subtask: number): void {
    this.#bases?.request(uid, subtask);
    this.#signal.wake();
  }

  status(): SliceStatus {
    const pending = this.#checkpoints?.pending;
    const ageMs = this.#checkpoints?.ageMs;
    return {
      slice: this.deploy.slice,
      state: this.#state,
      vertices: this.deploy.vertices,
      slots: this.deploy.slots,
      ...(pending === undefined ? {} : { pending }),
      committedCheckpointId: this.#checkpoints?.committedId ?? 0,
      ...(ageMs === undefined ? {} : { checkpointAgeMs: ageMs }),
      splits: (this.#task?.sources ?? []).map(({ uid, subtask, reader }) => ({
        uid,
        subtask,
        splitIds: reader.snapshot().map(({ id }) => id),
      })),
      finishedSplits: this.#checkpoints?.finishedSplits() ?? [],
    };
  }

  get #isOver(): boolean {
    return this.#state === "failed" || this.#state === "closed" || this.#closing !== undefined;
  }

  #fail(cause: unknown, lostSlot?: number): void {
    if (this.#isOver) return;
    // A peer that goes when all is processed is no loss: nothing more is to come from it, and the leader ends the slices one by one.
    if (lostSlot !== undefined && this.#task?.isFinished === true && this.#state === "ended") return;
    this.#log.warn("slice failed", { reason: messageOf(cause), lostSlot });
    this.#enter("failed", failureNews(cause, this.#task?.failedAt, lostSlot));
    this.#shut().catch((problem: unknown) => this.#log.warn("a failed slice could not be closed", { reason: messageOf(problem) }));
  }

  /** Ends everything. Settles when nothing of it is left; told once. */
  async close(): Promise<void> {
    const wasFailed = this.#state === "failed";
    try {
      await this.#shut();
    } catch (error) {
      this.#log.warn("a slice could not be closed", { reason: messageOf(error), wasFailed });
    }
    if (this.#state !== "closed") this.#enter("closed", { kind: "closed" });
  }

  #shut(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }

  async #release(): Promise<void> {
    this.#job.reception.forget(this.deploy.slice);
    this.#cancelReport();
    this.#signal.wake();
    this.#exchange?.close();
    await this.#deploying;
    await this.#running;
    await this.#bases?.close();
    try {
      await this.#task?.close();
    } finally {
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  #enter(to: SliceState, news?: SliceNews): void {
    if (!mayMove(this.#state, to)) throw new Error(`a slice cannot go from ${this.#state} to ${to}`);
    this.#state = to;
    if (news !== undefined) this.#say(news);
    this.#report();
  }

  // At every change, and every second in between.
  #report(): void {
    this.#cancelReport();
    this.#say({ kind: "report", report: sliceReport(this.#state, this.#task, this.#loop) });
    if (this.#isOver) return;
    this.#cancelReport = systemClock.after(reportMs, () => this.#report());
  }

  #say(news: SliceNews): void {
    this.#tell(news);
  }
}
