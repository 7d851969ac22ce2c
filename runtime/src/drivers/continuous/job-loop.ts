// The loop of a task: mailbox, entries (what other slots sent, sources), timers, exchanges, checkpoint, rest. Data's whole way through the thread is in `run`.
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { WakeFlag } from "../../base/wake-flag.ts";
import type { SourceEntry } from "../task/entries.ts";
import type { SinkInstance } from "../task/sink-instance.ts";
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
  /** Everything that all sources gave is processed, for now or for good: end the loop, or go on waiting for what `betweenBatches` says. */
  finished(): "leave" | "stay";
  /** When `betweenBatches` has something to do although nothing wakes the loop, by `performance.now()`; Infinity for never. */
  nextDueMs?(): number;
}

export class JobLoop {
  readonly signal: WakeFlag;
  /** Time spent processing, waiting for sinks and idle, ms: what busy and backpressured shares are made of. */
  readonly times = { busyMs: 0, backpressuredMs: 0, idleMs: 0 };
  readonly #task: Task;
  readonly #clock: Clock;
  readonly #hooks: LoopHooks;
  readonly #watched = new Set<SourceInstance | SinkInstance>();
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

  /** Runs until a hook says to leave. */
  async run(): Promise<"left" | "ended"> {
    const task = this.#task;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const next = this.#hooks.betweenBatches();
      if (next === "leave") return "left";
      if (next === "hold") {
        await this.#sleep([]);
        continue;
      }
      const worked = this.#turn();
      this.#unflushed ||= worked;
      if (this.#unflushed && (!worked || performance.now() - this.#flushedAtMs >= flushIntervalMs)) this.#flushSinks();
      const ended = task.endSources((source) => this.#hooks.isComplete(source));
      if (task.isFinished && this.#hooks.finished() === "leave") return "ended";
      if (worked || ended) await nextTurn();
      else await this.#rest();
    }
  }

  // Works until the turn's time is over or there is nothing to do. True when it did anything.
  #turn(): boolean {
    const task = this.#task;
    const startedMs = performance.now();
    let nowMs = startedMs;
    let worked = false;
    for (;;) {
      const mail = task.runMailbox();
      const stepped = task.step();
      task.fireTimers();
      worked ||= mail || stepped;
      nowMs = performance.now();
      task.exchange?.flush(nowMs);
      if (!stepped || nowMs - startedMs >= turnMs) break;
    }
    if (worked) this.times.busyMs += nowMs - startedMs;
    return worked;
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

  // Sleeps until something may be done: a source has rows, a sink or a channel has room again, a time has come, somebody wakes the loop.
  async #rest(): Promise<void> {
    const task = this.#task;
    const startedMs = performance.now();
    // Sources whose way is not open may well be ready: they would wake the loop for nothing.
    const closed = task.sourceEntries.filter((entry) => !entry.source.ended && !entry.mayPoll);
    for (const entry of task.sourceEntries) if (entry.mayPoll) this.#watchSource(entry);
    for (const sink of task.sinks) this.#watchSink(sink);
    const pressed = closed.length > 0 || task.entries.some((entry) => !entry.isOpen);
    // Processing time is the job's clock.
    const timerMs = task.fireTimers() - this.#clock.now();
    await this.#sleep([this.#clock.after(Math.max(0, Math.min(timerMs, lookAroundMs)), () => this.signal.wake())]);
    const restedMs = performance.now() - startedMs;
    if (pressed) this.times.backpressuredMs += restedMs;
    else this.times.idleMs += restedMs;
    for (const { source } of closed) source.excuse(restedMs);
  }

  // Exchanges and barriers go by the machine's clock, whatever a test does to the job's.
  async #sleep(timers: readonly (() => void)[]): Promise<void> {
    const dueMs = Math.min(this.#task.exchange?.flushDueMs ?? Infinity, this.#hooks.nextDueMs?.() ?? Infinity);
    const cancelDue = dueMs === Infinity ? undefined : systemClock.after(dueMs - performance.now(), () => this.signal.wake());
    try {
      await this.signal.sleep();
    } finally {
      cancelDue?.();
      for (const cancel of timers) cancel();
    }
  }

  // One pending promise per source and sink, so that waking for another reason does not pile them up.
  #watchSource({ source }: SourceEntry): void {
    if (this.#watched.has(source)) return;
    this.#watch(source, source.reader.ready());
  }

  #watchSink(sink: SinkInstance): void {
    if (this.#watched.has(sink)) return;
    const room = sink.writer.ready();
    if (room !== undefined) this.#watch(sink, room);
  }

  #watch(what: SourceInstance | SinkInstance, ready: Promise<void>): void {
    this.#watched.add(what);
    ready.then(
      () => {
        this.#watched.delete(what);
        this.signal.wake();
      },
      (error: unknown) => this.fail(error),
    );
  }
}
