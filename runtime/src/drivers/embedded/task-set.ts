// The tasks of this process: opens what it is to run, closes what it is not, and works on all of them in one loop.
import { setImmediate as nextTurn } from "node:timers/promises";
import { isMillraceError, messageOf } from "../../base/errors.ts";
import type { WakeFlag } from "../../base/wake-flag.ts";
import { retryDelayMs } from "../../connectors/kafka/client/retry.ts";
import type { ChangelogFollower } from "./changelog/changelog-follower.ts";
import type { GlobalTable } from "./global/global-table.ts";
import type { TaskCut } from "./savepoint/upload-cut.ts";
import type { AppCounts } from "./rest/app-metrics.ts";
import type { TaskFigures } from "./task/task-figures.ts";
import { EmbeddedTask } from "./task/embedded-task.ts";
import type { TaskHost, TaskPlace } from "./task/task-host.ts";
import type { RestoreProgress } from "./task/task-restore.ts";

export type TaskState = "opening" | "running" | "closing";

interface Slot {
  readonly place: TaskPlace;
  readonly abort: AbortController;
  readonly progress: RestoreProgress;
  state: TaskState;
  task: EmbeddedTask | undefined;
  /** Settles when the slot is empty again. */
  closed: Promise<void> | undefined;
}

export interface TaskSetHooks {
  /** A task runs, or does not any more. */
  changed(): void;
  /** Tasks that are not wanted any more are all closed. */
  released(): void;
  /** A task failed; true to run it again. */
  failed(error: unknown, taskId: string): boolean;
  /** A task has made its cut for a savepoint and stands still. */
  cut(cut: TaskCut): void;
  /** A task cannot make the cut it has joined any more. */
  cutMissed(taskId: string): void;
  /** Tasks that are opened now are to stand still. */
  holdsOpened(): boolean;
  /** Followers of the changelogs of a task that is about to run: warm ones where there are. */
  followers(place: TaskPlace): Promise<ReadonlyMap<string, ChangelogFollower>>;
}

export interface TaskStatus {
  readonly id: string;
  readonly state: TaskState;
  /** Records of its inputs that it has not processed; NaN where that is not known. */
  readonly lag: number;
  readonly restore: Readonly<RestoreProgress>;
}

/** How long one task works before the next one has its turn, ms. */
const turnMs = 4;
/** How often the loop looks around when nothing wakes it. */
const lookAroundMs = 100;
/** How soon it looks again at a task whose output is not taken fast enough. */
const fullMs = 5;

export class TaskSet {
  readonly flag: WakeFlag;
  readonly #host: TaskHost;
  readonly #places: ReadonlyMap<string, TaskPlace>;
  readonly #hooks: TaskSetHooks;
  readonly #slots = new Map<string, Slot>();
  readonly #failures = new Map<string, number>();
  readonly #counts = { rebalances: 0, taskFailures: 0 };
  #wanted: ReadonlySet<string> = new Set();
  #stopped = false;

  constructor(host: TaskHost, places: ReadonlyMap<string, TaskPlace>, hooks: TaskSetHooks, flag: WakeFlag) {
    this.#host = host;
    this.#places = places;
    this.#hooks = hooks;
    this.flag = flag;
  }

  /** Tasks that nobody else may start yet: those that run, and those on their way in or out. */
  owned(): readonly string[] {
    return [...this.#slots.keys()];
  }

  get allRunning(): boolean {
    return [...this.#wanted].every((id) => this.#slots.get(id)?.state === "running");
  }

  status(): readonly TaskStatus[] {
    return [...this.#slots].map(([id, { state, task, progress }]) => ({
      id,
      state,
      lag: state === "running" && task !== undefined ? task.inputs.lag() : Number.NaN,
      restore: { ...progress },
    }));
  }

  /** A task that runs; undefined for one that does not, here. */
  running(id: string): EmbeddedTask | undefined {
    const slot = this.#slots.get(id);
    return slot?.state === "running" ? slot.task : undefined;
  }

  /** A global table that this process holds. */
  globalTable(uid: string): GlobalTable | undefined {
    return this.#host.globalTables.find(uid);
  }

  figures(): { readonly tasks: readonly TaskFigures[]; readonly counts: AppCounts } {
    const running = [...this.#slots.values()].filter(({ state }) => state === "running");
    return { tasks: running.flatMap(({ task }) => task?.figures() ?? []), counts: { ...this.#counts } };
  }

  /** What to run from now on. Tasks that are not in it are committed and closed. True when there were such. */
  want(ids: readonly string[]): boolean {
    if (this.#stopped) return false;
    this.#counts.rebalances++;
    this.#wanted = new Set(ids.filter((id) => this.#places.has(id)));
    const leaving = [...this.#slots.keys()].filter((id) => !this.#wanted.has(id));
    for (const id of leaving) this.#close(this.#slots.get(id) as Slot, true);
    for (const id of this.#wanted) if (!this.#slots.has(id)) this.#open(id);
    return leaving.length > 0;
  }

  /** All tasks go on until their cut for a savepoint, and stand still then. */
  joinCut(attempt: number): void {
    for (const { task, state } of this.#slots.values()) if (state === "running") task?.joinCut(attempt);
    this.flag.wake();
  }

  /** All tasks go on. */
  release(): void {
    for (const { task } of this.#slots.values()) task?.release();
    this.flag.wake();
  }

  /** Drops everything at once: it belongs to others. */
  lose(): void {
    this.#wanted = new Set();
    for (const slot of this.#slots.values()) this.#close(slot, false);
  }

  /** Commits and closes all tasks, and ends the loop. */
  async stop(clean: boolean): Promise<void> {
    this.#stopped = true;
    this.#wanted = new Set();
    for (const slot of this.#slots.values()) this.#close(slot, clean);
    this.flag.wake();
    await Promise.all([...this.#slots.values()].map((slot) => slot.closed));
    await this.#host.globalTables.close();
  }

  #open(id: string): void {
    const place = this.#places.get(id) as TaskPlace;
    const progress: RestoreProgress = { records: 0, bytes: 0, remaining: 0 };
    const slot: Slot = { place, abort: new AbortController(), progress, state: "opening", task: undefined, closed: undefined };
    this.#slots.set(id, slot);
    slot.closed = this.#opening(slot);
  }

  // Settles when the slot is empty: at once when opening fails, else when its task is closed.
  async #opening(slot: Slot): Promise<void> {
    const { id } = slot.place;
    const startedMs = performance.now();
    try {
      const delayMs = (this.#failures.get(id) ?? 0) > 0 ? retryDelayMs((this.#failures.get(id) ?? 1) + 2, this.#host.random) : 0;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      slot.abort.signal.throwIfAborted();
      const followers = await this.#hooks.followers(slot.place);
      slot.task = await EmbeddedTask.open(slot.place, this.#host, followers, slot.progress, slot.abort.signal);
    } catch (error) {
      this.#slots.delete(id);
      if (slot.abort.signal.aborted) this.#after();
      else this.#again(id, error);
      return;
    }
    if (slot.state !== "opening") {
      await this.#empty(slot, false);
      return;
    }
    slot.state = "running";
    if (this.#hooks.holdsOpened()) slot.task.hold();
    const { records, bytes } = slot.progress;
    this.#host.log.info("task runs", { taskId: id, restoredRecords: records, restoredBytes: bytes, openMs: performance.now() - startedMs });
    this.#hooks.changed();
    this.flag.wake();
  }

  #close(slot: Slot, clean: boolean): void {
    if (slot.state === "closing") return;
    const opening = slot.state === "opening";
    slot.state = "closing";
    slot.abort.abort();
    // What is being opened closes itself when it notices.
    if (!opening) slot.closed = this.#empty(slot, clean);
  }

  async #empty(slot: Slot, clean: boolean): Promise<void> {
    const { id } = slot.place;
    try {
      if (clean) await slot.task?.closeClean();
      else await slot.task?.closeDirty();
    } catch (error) {
      // What it could not commit, the next owner does again.
      this.#host.log.warn("a task was closed without its last commit", { taskId: id, reason: messageOf(error) });
    }
    this.#slots.delete(id);
    this.#after();
  }

  #after(): void {
    if (this.#stopped) return;
    if (![...this.#slots.values()].some((slot) => slot.state === "closing")) this.#hooks.released();
    // It may have become wanted again meanwhile.
    for (const id of this.#wanted) if (!this.#slots.has(id)) this.#open(id);
    this.#hooks.changed();
  }

  // Opens a task again that failed, unless it is not to be.
  #again(id: string, error: unknown): void {
    this.#counts.taskFailures++;
    this.#failures.set(id, (this.#failures.get(id) ?? 0) + 1);
    const fenced = isMillraceError(error, "KAFKA_FENCED") || isMillraceError(error, "KAFKA_TRANSACTION_LOST");
    this.#host.log.warn("a task failed", { taskId: id, reason: messageOf(error), fenced });
    // Another owner took it over, or the broker gave its transaction up: if it is still ours, it goes on from its last commit.
    if (!fenced && !this.#hooks.failed(error, id)) return;
    this.#after();
  }

  #fail(slot: Slot, error: unknown): void {
    if (slot.state !== "running") return;
    const { id } = slot.place;
    slot.state = "closing";
    slot.abort.abort();
    slot.closed = (async () => {
      try {
        await slot.task?.closeDirty();
      } catch (closeError) {
        this.#host.log.debug("a failed task could not be closed", { taskId: id, reason: messageOf(closeError) });
      }
      this.#slots.delete(id);
      this.#again(id, error);
    })();
  }

  /** Deletes from the application's own topics what no task will read again. */
  async purge(): Promise<void> {
    for (const { place, state, task } of [...this.#slots.values()]) {
      if (state !== "running" || task === undefined) continue;
      try {
        await task.purge();
      } catch (error) {
        // It is tried again; until then the topic is longer than it has to be.
        this.#host.log.warn("a repartition topic was not shortened", { taskId: place.id, reason: messageOf(error) });
      }
    }
  }

  /** Works until it is stopped. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      let worked = false;
      let restMs = lookAroundMs;
      for (const slot of this.#slots.values()) {
        if (slot.state !== "running" || slot.task === undefined) continue;
        try {
          restMs = Math.min(restMs, this.#workOn(slot, slot.task));
        } catch (error) {
          this.#fail(slot, error);
          continue;
        }
        worked ||= restMs === 0;
      }
      if (worked) await nextTurn();
      else await this.#rest(restMs);
    }
  }

  // Returns when to look at the task again, ms; 0 when it worked.
  #workOn(slot: Slot, task: EmbeddedTask): number {
    if (task.committing || task.held) return Infinity;
    if (task.full) return Math.min(fullMs, this.#commitWhenDue(slot, task));
    const worked = task.turn(turnMs);
    const { cut } = task;
    if (cut === "ready") return this.#cut(slot, task);
    if (cut === "missed") this.#hooks.cutMissed(slot.place.id);
    const dueMs = this.#commitWhenDue(slot, task);
    if (worked) return 0;
    return Math.max(1, Math.min(dueMs, task.nextWakeMs() - this.#host.clock.now()));
  }

  #cut(slot: Slot, task: EmbeddedTask): number {
    task.makeCut().then(
      (cut) => this.#hooks.cut(cut),
      (error: unknown) => this.#fail(slot, error),
    );
    return Infinity;
  }

  #commitWhenDue(slot: Slot, task: EmbeddedTask): number {
    const dueMs = task.commitDueMs();
    if (dueMs > 0) return dueMs;
    task.commit().then(
      () => this.#failures.delete(slot.place.id),
      (error: unknown) => this.#fail(slot, error),
    );
    return Infinity;
  }

  async #rest(restMs: number): Promise<void> {
    const cancel = this.#host.clock.after(restMs, () => this.flag.wake());
    try {
      await this.flag.sleep();
    } finally {
      cancel();
    }
  }
}
