// The tasks of one step of a batch: which to start where, again where one failed, a second time where one is slow. Decides, and touches nothing.

/** An executor as the decision sees it. */
export interface Place {
  readonly executorId: string;
  readonly freeSlots: number;
}

export interface TaskSetOptions {
  /** Attempts of one task before the step fails. */
  readonly maxAttempts: number;
  /** How long a task waits for the executor that has what it needs, ms. */
  readonly localityWaitMs: number;
  /** A task that takes so much longer than those that have ended is started a second time; undefined for never. */
  readonly speculation: { readonly times: number; readonly leastMs: number } | undefined;
}

export interface PlannedTask {
  readonly id: string;
  /** The executor that has what it needs. */
  readonly preferred: string | undefined;
}

export interface Assignment {
  readonly taskId: string;
  readonly attempt: number;
  readonly executorId: string;
}

interface Attempt {
  readonly attempt: number;
  readonly executorId: string;
  readonly startedMs: number;
}

interface Task {
  readonly id: string;
  readonly preferred: string | undefined;
  readonly running: Attempt[];
  readonly failedOn: string[];
  pendingSinceMs: number | undefined;
  attempts: number;
  failures: number;
  isDone: boolean;
}

export class TaskSet {
  readonly #tasks = new Map<string, Task>();
  readonly #options: TaskSetOptions;
  readonly #tookMs: number[] = [];

  constructor(tasks: readonly PlannedTask[], options: TaskSetOptions, nowMs: number) {
    this.#options = options;
    for (const { id, preferred } of tasks) {
      const state = { id, preferred, running: [], failedOn: [], pendingSinceMs: nowMs, attempts: 0, failures: 0, isDone: false };
      this.#tasks.set(id, state);
    }
  }

  get isDone(): boolean {
    return [...this.#tasks.values()].every((task) => task.isDone);
  }

  /** Something waits for a place. */
  get hasPending(): boolean {
    return [...this.#tasks.values()].some((task) => !task.isDone && task.running.length === 0);
  }

  /** What to start now. */
  next(places: readonly Place[], nowMs: number): readonly Assignment[] {
    const free = new Map(places.map(({ executorId, freeSlots }) => [executorId, freeSlots]));
    const made: Assignment[] = [];
    for (const task of this.#tasks.values()) {
      if (task.isDone || task.running.length > 0) continue;
      const place = this.#placeFor(task, free, nowMs);
      if (place !== undefined) made.push(this.#start(task, place, free, nowMs));
    }
    for (const task of this.#slow(nowMs)) {
      const elsewhere = [...free].find(([id, slots]) => slots > 0 && task.running.every(({ executorId }) => executorId !== id));
      if (elsewhere !== undefined) made.push(this.#start(task, elsewhere[0], free, nowMs));
    }
    return made;
  }

  #placeFor(task: Task, free: ReadonlyMap<string, number>, nowMs: number): string | undefined {
    const { preferred, failedOn } = task;
    if (preferred !== undefined && !failedOn.includes(preferred) && free.has(preferred)) {
      if ((free.get(preferred) as number) > 0) return preferred;
      if (nowMs - (task.pendingSinceMs ?? nowMs) < this.#options.localityWaitMs) return undefined;
    }
    const open = [...free].filter(([, slots]) => slots > 0);
    // Where it has failed it is tried again only when there is nobody else at all.
    const fresh = open.filter(([id]) => !failedOn.includes(id));
    const choice = fresh.length > 0 ? fresh : [...free.keys()].every((id) => failedOn.includes(id)) ? open : [];
    return choice.sort(([, a], [, b]) => b - a)[0]?.[0];
  }

  #start(task: Task, executorId: string, free: Map<string, number>, nowMs: number): Assignment {
    const attempt = task.attempts++;
    task.running.push({ attempt, executorId, startedMs: nowMs });
    task.pendingSinceMs = undefined;
    free.set(executorId, (free.get(executorId) as number) - 1);
    return { taskId: task.id, attempt, executorId };
  }

  #slow(nowMs: number): readonly Task[] {
    const { speculation } = this.#options;
    // What is usual is known once half of them have ended.
    if (speculation === undefined || this.#tookMs.length * 2 < this.#tasks.size || this.#tookMs.length === 0) return [];
    const sorted = [...this.#tookMs].sort((a, b) => a - b);
    const usualMs = sorted[Math.floor(sorted.length / 2)] as number;
    const limitMs = Math.max(speculation.leastMs, usualMs * speculation.times);
    return [...this.#tasks.values()].filter(
      ({ isDone, running }) => !isDone && running.length === 1 && nowMs - (running[0] as Attempt).startedMs > limitMs,
    );
  }

  /** An attempt has ended well. The first one of a task counts; the others, which are returned, are for nothing. */
  succeeded(taskId: string, attempt: number, nowMs: number): { readonly counts: boolean; readonly cancel: readonly Assignment[] } {
    const task = this.#of(taskId);
    const own = task.running.find((one) => one.attempt === attempt);
    if (own === undefined || task.isDone) return { counts: false, cancel: [] };
    task.isDone = true;
    this.#tookMs.push(nowMs - own.startedMs);
    const cancel = task.running.filter((one) => one !== own).map((one) => ({ taskId, attempt: one.attempt, executorId: one.executorId }));
    task.running.length = 0;
    return { counts: true, cancel };
  }

  /** An attempt has failed; `over` when the step has. `isOwnFault`: it would not go better anywhere else. */
  failed(taskId: string, attempt: number, isOwnFault: boolean, nowMs: number): "again" | "over" {
    const task = this.#of(taskId);
    const at = task.running.findIndex((one) => one.attempt === attempt);
    if (at < 0 || task.isDone) return "again";
    const [one] = task.running.splice(at, 1) as [Attempt];
    task.failedOn.push(one.executorId);
    task.failures++;
    if (task.running.length === 0) task.pendingSinceMs = nowMs;
    return isOwnFault || task.failures >= this.#options.maxAttempts ? "over" : "again";
  }

  /** What was asked for could not be had, through no fault of the task's: it waits again. */
  putBack(taskId: string, attempt: number, nowMs: number): void {
    const task = this.#of(taskId);
    const at = task.running.findIndex((one) => one.attempt === attempt);
    if (at < 0 || task.isDone) return;
    task.running.splice(at, 1);
    if (task.running.length === 0) task.pendingSinceMs = nowMs;
  }

  /** An executor is gone: what it was doing waits again, without counting against the tasks. */
  lost(executorId: string, nowMs: number): void {
    for (const task of this.#tasks.values())
      for (const { attempt } of task.running.filter((one) => one.executorId === executorId)) this.putBack(task.id, attempt, nowMs);
  }

  /** Everything that runs, as a step that is given up lets go of it. */
  running(): readonly Assignment[] {
    return [...this.#tasks.values()].flatMap((task) =>
      task.running.map(({ attempt, executorId }) => ({ taskId: task.id, attempt, executorId })),
    );
  }

  #of(taskId: string): Task {
    const task = this.#tasks.get(taskId);
    if (task === undefined) throw new Error(`assertion failed: no task ${taskId} in this step`);
    return task;
  }
}
