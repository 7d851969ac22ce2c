// The loop of a task: mailbox, sources, timers, checkpoint, rest. Data's whole way through the process is in `run`.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import type { WakeFlag } from "../../base/wake-flag.ts";
import type { SourceInstance } from "../task/source-instance.ts";
import type { Task } from "../task/task.ts";

/** How long the loop works before it lets the process's I/O have a turn, ms. */
const turnMs = 4;
/** The longest that rows linger in a sink while the task is busy, ms; when it has nothing to do they go out at once. */
const flushIntervalMs = 100;
/** How often the loop looks around when nothing wakes it, ms: idleness of sources is noticed by looking. */
const lookAroundMs = 100;

export interface LoopHooks {
  /**
   * Called between batches; does what is due (a barrier, a stop) and must be quick. `hold`: process nothing, wait to be woken;
   * `leave`: end the loop here.
   */
  betweenBatches(): "go" | "hold" | "leave";
  /** All splits of a source have ended and the source says that no more will come. */
  isComplete(source: SourceInstance): boolean;
}

export class JobLoop {
  readonly signal: WakeFlag;
  /** Time spent processing, waiting for sinks and idle, ms: what busy and backpressured shares are made of. */
  readonly times = { busyMs: 0, backpressuredMs: 0, idleMs: 0 };
  readonly #task: Task;
  readonly #clock: Clock;
  readonly #hooks: LoopHooks;
  readonly #waiting = new Set<SourceInstance>();
  #failure: { readonly error: unknown } | undefined;
  #unflushed = false;
  #flushing = false;
  #flushedAtMs = 0;

  constructor(task: Task, clock: Clock, signal: WakeFlag, hooks: LoopHooks) {
    this.#task = task;
    this.#clock = clock;
    this.signal = signal;
    this.#hooks = hooks;
  }

  /** Makes `run` reject at the next turn: for failures of background work. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.signal.wake();
  }

  /** Runs until a hook says to leave or all sources have ended and everything they gave is processed. */
  async run(): Promise<"left" | "ended"> {
    const task = this.#task;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const next = this.#hooks.betweenBatches();
      if (next === "leave") return "left";
      if (next === "hold") {
        await this.signal.sleep();
        continue;
      }
      const worked = this.#turn();
      this.#unflushed ||= worked;
      if (this.#unflushed && (!worked || performance.now() - this.#flushedAtMs >= flushIntervalMs)) this.#flushSinks();
      if (this.#endSources() && !task.busy) return "ended";
      const full = task.fullSinks();
      if (full.length > 0) await this.#waitForSinks(full);
      else if (worked) await nextTurn();
      else await this.#rest();
    }
  }

  // Works until the turn's time is over or there is nothing to do. True when it did anything.
  #turn(): boolean {
    const task = this.#task;
    const startedMs = performance.now();
    let worked = false;
    for (;;) {
      const mail = task.runMailbox();
      const polled = !task.paused && task.pollSources();
      task.fireTimers();
      worked ||= mail || polled;
      if (!polled || performance.now() - startedMs >= turnMs || task.fullSinks().length > 0) break;
    }
    task.advanceState();
    if (worked) this.times.busyMs += performance.now() - startedMs;
    return worked;
  }

  // True when all sources have ended.
  #endSources(): boolean {
    this.#task.endSources((source) => this.#hooks.isComplete(source));
    return this.#task.sources.every((source) => source.ended);
  }

  // One flush at a time; a failure of a sink ends the run at the next turn.
  #flushSinks(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#unflushed = false;
    this.#flushedAtMs = performance.now();
    Promise.all(this.#task.sinks.map((sink) => sink.writer.flush())).then(
      () => {
        this.#flushing = false;
      },
      (error: unknown) => this.fail(error),
    );
  }

  async #waitForSinks(full: readonly Promise<void>[]): Promise<void> {
    const startedMs = performance.now();
    await Promise.race([Promise.all(full), this.signal.sleep()]);
    const waitedMs = performance.now() - startedMs;
    this.times.backpressuredMs += waitedMs;
    for (const source of this.#task.sources) source.excuse(waitedMs);
  }

  async #rest(): Promise<void> {
    const startedMs = performance.now();
    // While an operator asked for a pause only it or the mailbox can wake the loop; sources may well be ready.
    if (!this.#task.paused) for (const source of this.#task.sources) this.#watch(source);
    const timerMs = this.#task.fireTimers() - this.#clock.now();
    const cancel = this.#clock.after(Math.max(0, Math.min(timerMs, lookAroundMs)), () => this.signal.wake());
    try {
      await this.signal.sleep();
    } finally {
      cancel();
    }
    const restedMs = performance.now() - startedMs;
    this.times.idleMs += restedMs;
    if (this.#task.paused) for (const source of this.#task.sources) source.excuse(restedMs);
  }

  // One pending `ready` per source, so that waking for another reason does not pile promises up.
  #watch(source: SourceInstance): void {
    if (source.ended || this.#waiting.has(source)) return;
    this.#waiting.add(source);
    source.reader.ready().then(
      () => {
        this.#waiting.delete(source);
        this.signal.wake();
      },
      (error: unknown) => this.fail(error),
    );
  }
}
