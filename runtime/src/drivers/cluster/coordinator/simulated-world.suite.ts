// A world for the coordinator: TaskManagers, a storage, messages that take their time, and everything that can go wrong.
import { expect } from "vitest";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { SlotCommand, SlotEvent } from "../slot-protocol.ts";
import { Coordinator } from "./coordinator.ts";
import type { JobGraph } from "./job-graph.ts";
import { SimulatedMessages } from "./simulated-messages.suite.ts";
import {
  ackOf,
  assign,
  deployed,
  hasNoMore,
  type Poison,
  type SimulatedSlice,
  SimulatedTaskManager,
  statusOf,
  takeRecords,
} from "./simulated-slices.suite.ts";
import { SimulatedStorage } from "./simulated-storage.suite.ts";
import type { CoordinatorAction, CoordinatorEvent, CoordinatorOptions, ExecutionRecord, Outcome, RescaleResult, Failure } from "./types.ts";

export interface WorldOptions {
  readonly graph: JobGraph;
  readonly seed: number;
  readonly parallelism: number;
  /** By source. */
  readonly splits: Readonly<Record<string, number>>;
  readonly recordsPerSplit: number;
  readonly bounded: boolean;
  /** Chance of each fault per step. */
  readonly faults: number;
  readonly restarts?: CoordinatorOptions["restarts"];
}

const options = {
  revision: "1",
  vertexParallelism: {},
  checkpointIntervalMs: 200,
  minPauseMs: 0,
  alignmentTimeoutMs: 1000,
  checkpointTimeoutMs: 20_000,
  tolerableFailures: 100,
  restarts: { kind: "fixed-delay", maxAttempts: Infinity, delayMs: 20 },
  reconnectMs: 100,
  adoptMs: 2000,
  deployTimeoutMs: 5000,
  cancelTimeoutMs: 500,
  allowNonRestoredState: false,
} satisfies Omit<CoordinatorOptions, "epoch" | "parallelism">;

export class World {
  readonly options: WorldOptions;
  nowMs = 0;
  coordinator!: Coordinator;
  outcome: Outcome | undefined;
  readonly rescales: (RescaleResult | Failure)[] = [];
  readonly logs: string[] = [];
  readonly storage = new SimulatedStorage();
  readonly counts = { leaders: 0, killed: 0, cut: 0, died: 0, storage: 0, checkpoints: 0, restarts: 0 };
  faulty = true;
  poison: Poison | undefined;
  readonly taskManagers: SimulatedTaskManager[] = [];
  readonly #messages = new SimulatedMessages();
  #seed: number;
  #epoch = 0;
  #next = 0;
  readonly #restored = new Map<string, number>();

  constructor(world: WorldOptions) {
    this.options = world;
    this.#seed = world.seed * 2654435761 + 1;
    this.lead();
  }

  random(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed / 2 ** 32;
  }

  /** A new leader: all that it knows is what is stored. */
  lead(): void {
    this.counts.leaders++;
    this.#epoch++;
    // What was on its way to or from the old leader is lost.
    this.#messages.lose((connection) => !connection.startsWith("new "));
    for (const taskManager of this.taskManagers) taskManager.connected = false;
    const made = (this.storage.record?.savepoints ?? []).flatMap(({ id }) => this.storage.savepoints.get(id) ?? []);
    this.coordinator = new Coordinator(
      this.options.graph,
      { ...options, epoch: this.#epoch, parallelism: this.options.parallelism, restarts: this.options.restarts ?? options.restarts },
      { record: this.storage.record, latest: this.storage.latest, nextCheckpointId: 1, made },
      () => this.random(),
      this.nowMs,
    );
    for (const taskManager of this.taskManagers) this.#connectSoon(taskManager);
    this.tell({ kind: "tick" });
  }

  addTaskManager(slots: number): void {
    const taskManager = new SimulatedTaskManager(
      `tm-${++this.#next}`,
      Array.from({ length: slots }, () => ++this.#next),
    );
    this.taskManagers.push(taskManager);
    this.#connectSoon(taskManager);
  }

  kill(taskManager: SimulatedTaskManager): void {
    this.counts.killed++;
    const slots = taskManager.ports.length;
    this.#disconnect(taskManager, "killed");
    this.taskManagers.splice(this.taskManagers.indexOf(taskManager), 1);
    this.#later(`new ${this.nowMs} ${this.random()}`, 300 * this.random(), () => this.addTaskManager(slots));
  }

  /** One step of time: messages arrive, slices process, and something may break. */
  step(byMs = 5): void {
    this.nowMs += byMs;
    if (this.faulty) this.#break();
    this.#messages.arrive(this.nowMs);
    for (const taskManager of this.taskManagers) for (const slice of taskManager.slices.values()) this.#process(taskManager, slice);
    this.tell({ kind: "tick" });
  }

  /** One step of time in which nobody leads. */
  stepAlone(): void {
    this.nowMs += 5;
    for (const taskManager of this.taskManagers) for (const slice of taskManager.slices.values()) this.#process(taskManager, slice);
  }

  tell(event: CoordinatorEvent): void {
    const epoch = this.#epoch;
    for (const action of this.coordinator.handle(event, this.nowMs)) this.#act(action, epoch);
  }

  #break(): void {
    const { faults } = this.options;
    const pick = this.taskManagers[Math.floor(this.random() * this.taskManagers.length)];
    if (this.random() < faults) this.lead();
    if (pick === undefined) return;
    // Four kinds of faults, each as often as a new leader.
    const chance = this.random() / faults;
    if (chance < 1) this.kill(pick);
    else if (chance < 2) {
      this.counts.cut++;
      this.#disconnect(pick, "cut");
      this.#connectSoon(pick);
    } else if (chance < 3) this.#killSlot(pick, Math.floor(this.random() * pick.ports.length), "crashed");
    else if (chance < 4) {
      const slice = [...pick.slices.values()].find((one) => one.state === "running");
      if (slice !== undefined) {
        slice.state = "failed";
        this.#event(pick, pick.indexOf(slice), {
          slice: slice.id,
          kind: "failed",
          code: "FUNCTION_FAILED",
          message: "chance",
          fatal: false,
        });
      }
    }
  }

  #killSlot(taskManager: SimulatedTaskManager, index: number, reason: string): void {
    this.counts.died++;
    for (const [key, slice] of taskManager.slices) if (taskManager.indexOf(slice) === index) taskManager.slices.delete(key);
    const incarnation = taskManager.ports[index] ?? 0;
    taskManager.ports[index] = ++this.#next;
    const slot = { index, incarnation: taskManager.ports[index] as number, host: "h", port: 1 };
    if (!taskManager.connected) return;
    this.#later(`up ${taskManager.id}`, 0, () => {
      if (!taskManager.connected) return;
      this.tell({ kind: "slotDied", taskManagerId: taskManager.id, index, incarnation, reason });
      this.tell({ kind: "slotBack", taskManagerId: taskManager.id, slot });
    });
  }

  #disconnect(taskManager: SimulatedTaskManager, reason: string): void {
    if (!taskManager.connected) return;
    taskManager.connected = false;
    this.#messages.lose((connection) => connection === `up ${taskManager.id}` || connection === `down ${taskManager.id}`);
    this.tell({ kind: "disconnected", taskManagerId: taskManager.id, gone: false, reason });
  }

  #connectSoon(taskManager: SimulatedTaskManager): void {
    const epoch = this.#epoch;
    this.#later(`connect ${taskManager.id}`, 150 * this.random(), () => {
      if (!this.taskManagers.includes(taskManager) || taskManager.connected || epoch !== this.#epoch) return;
      taskManager.connected = true;
      taskManager.epoch = epoch;
      const slices = [...taskManager.slices.values()].map((slice) => ({
        index: taskManager.indexOf(slice),
        status: statusOf(slice, this.nowMs),
      }));
      const slots = taskManager.ports.map((port, index) => ({ index, incarnation: port, host: "h", port: 1 }));
      this.tell({ kind: "registered", taskManagerId: taskManager.id, slots, slices });
      for (const { index, event } of taskManager.retained) this.tell({ kind: "slot", taskManagerId: taskManager.id, index, event });
    });
  }

  #later(connection: string, delayMs: number, run: () => void): void {
    this.#messages.send(connection, this.nowMs, delayMs, run);
  }

  #event(taskManager: SimulatedTaskManager, index: number, event: SlotEvent): void {
    if (event.kind !== "report") {
      taskManager.retained.push({ index, event });
      if (taskManager.retained.length > 200) taskManager.retained.shift();
    }
    if (!taskManager.connected) return;
    this.#later(`up ${taskManager.id}`, 20 * this.random(), () => {
      if (taskManager.connected) this.tell({ kind: "slot", taskManagerId: taskManager.id, index, event });
    });
  }

  #act(action: CoordinatorAction, epoch: number): void {
    switch (action.kind) {
      case "send": {
        const taskManager = this.taskManagers.find((one) => one.id === action.taskManagerId);
        expect(taskManager?.connected, "commands go to connected TaskManagers").toBe(true);
        if (taskManager === undefined) return;
        return this.#later(`down ${action.taskManagerId}`, 20 * this.random(), () => {
          const same = taskManager.ports[action.index] === action.incarnation;
          if (taskManager.connected && same && action.command.epoch >= taskManager.epoch)
            this.#command(taskManager, action.index, action.command);
        });
      }
      case "resetSlot": {
        const taskManager = this.taskManagers.find((one) => one.id === action.taskManagerId);
        if (taskManager !== undefined) this.#killSlot(taskManager, action.index, "reset");
        return;
      }
      case "discover": {
        const { uid, generation } = action;
        const all = Array.from({ length: this.options.splits[uid] ?? 0 }, (_, at) => ({ id: `${uid}-${at}`, position: 0 }));
        return this.#later(`discover ${uid}`, 30 * this.random(), () =>
          this.tell({
            kind: "discovered",
            uid,
            generation,
            splits: all.filter(({ id }) => !action.known.has(id)),
            exhausted: this.options.bounded,
            enumerator: undefined,
          }),
        );
      }
      case "publish":
      case "makeSavepoint":
      case "markCommitted":
        return this.#store(action, epoch);
      case "writeRecord":
        return this.#later("record", 10 * this.random(), () => {
          this.storage.record = JSON.parse(JSON.stringify(action.record)) as ExecutionRecord;
          this.tell({ kind: "recordWritten", record: action.record });
        });
      case "answerRescale":
        this.rescales.push(action.result);
        return;
      case "over":
        this.outcome = action.outcome;
        return;
      case "log":
        this.logs.push(`${this.nowMs} ${action.message} ${JSON.stringify(action.fields)}`);
        if (action.message.startsWith("region failed")) this.counts.restarts++;
        return;
      case "stopDiscovery":
        return;
    }
  }

  #store(action: Extract<CoordinatorAction, { kind: "publish" | "makeSavepoint" | "markCommitted" }>, epoch: number): void {
    const { checkpointId } = action;
    const lost = this.faulty && this.random() < 10 * this.options.faults;
    // A write may come through although its answer does not.
    const written = !lost || this.random() < 0.5;
    this.#later("storage", 30 * this.random(), () => {
      if (epoch !== this.#epoch) return;
      const step = action.kind === "publish" ? "publish" : action.kind === "makeSavepoint" ? "savepoint" : "markCommitted";
      if (written) {
        if (action.kind === "publish") this.#publish(action);
        if (action.kind === "makeSavepoint") this.storage.makeSavepoint(action.id, checkpointId);
        if (action.kind === "markCommitted") this.storage.markCommitted(checkpointId);
      }
      if (lost) {
        this.counts.storage++;
        return this.tell({ kind: "storageFailed", step, checkpointId, failure: { code: "STORAGE_UNREACHABLE", message: "chance" } });
      }
      if (action.kind === "publish")
        this.tell({ kind: "published", checkpointId, url: `chk-${checkpointId}`, writtenBytes: 1, totalBytes: 1 });
      if (action.kind === "makeSavepoint")
        this.tell({ kind: "savepointMade", checkpointId, result: this.storage.savepoints.get(action.id) as SavepointResult });
      if (action.kind === "markCommitted") this.tell({ kind: "markedCommitted", checkpointId });
    });
  }

  #publish(action: Extract<CoordinatorAction, { kind: "publish" }>): void {
    const published = this.storage.publish(action);
    if (published === undefined) return;
    this.counts.checkpoints++;
    const { held, finished } = published;
    this.logs.push(`${this.nowMs} published ${action.checkpointId} with ${held.join(" ")}; finished ${finished.join(" ")}`);
  }

  #command(taskManager: SimulatedTaskManager, index: number, command: SlotCommand): void {
    taskManager.epoch = Math.max(taskManager.epoch, command.epoch);
    const key = `${command.slice.region}#${command.slice.attempt}`;
    if (command.kind === "deploy") return this.#deploy(taskManager, index, command);
    const slice = taskManager.slices.get(`${index} ${key}`);
    if (slice === undefined) {
      if (command.kind === "cancel") this.#event(taskManager, index, { slice: command.slice, kind: "closed" });
      return;
    }
    switch (command.kind) {
      case "start":
        if (slice.state === "deployed") slice.state = "running";
        break;
      case "assign":
        assign(slice, command);
        break;
      case "trigger":
        this.#trigger(taskManager, index, slice, command.checkpointId, command.after);
        break;
      case "commit":
        if (slice.pending?.checkpointId === command.checkpointId) {
          this.storage.show(command.checkpointId, slice.pending.output);
          slice.pending = undefined;
          slice.committedId = command.checkpointId;
        }
        this.#event(taskManager, index, { slice: slice.id, kind: "committed", checkpointId: command.checkpointId });
        break;
      case "cancel":
        taskManager.slices.delete(`${index} ${key}`);
        this.#event(taskManager, index, { slice: slice.id, kind: "closed" });
        break;
      case "base":
        break;
    }
  }

  #deploy(taskManager: SimulatedTaskManager, index: number, command: Extract<SlotCommand, { kind: "deploy" }>): void {
    const key = `${command.slice.region}#${command.slice.attempt}`;
    const restoredId = command.restore?.checkpointId ?? 0;
    expect(this.#restored.get(key) ?? restoredId, `all slices of ${key} restore the same snapshot`).toBe(restoredId);
    this.#restored.set(key, restoredId);
    expect(restoredId, "a restart begins from the newest snapshot").toBe(this.storage.latest?.checkpointId ?? 0);
    const held = [...taskManager.slices.values()].filter(
      (one) => one.id.region === command.slice.region && taskManager.indexOf(one) === index,
    );
    expect(
      held.map(({ id, state }) => `${id.region}#${id.attempt} ${state}`),
      `a slot runs one slice of a region; deploying ${key} to ${taskManager.id}/${index}`,
    ).toEqual([]);
    if (restoredId > 0) this.storage.showAll(restoredId);
    const slice = deployed(command, (uid) => this.options.splits[uid] !== undefined);
    taskManager.slices.set(`${index} ${key}`, slice);
    this.#event(taskManager, index, {
      slice: slice.id,
      kind: "deployed",
      times: { clearingMs: 0, snapshotMs: 1, instancesMs: 2, connectMs: 3 },
    });
  }

  #trigger(
    taskManager: SimulatedTaskManager,
    index: number,
    slice: SimulatedSlice,
    checkpointId: number,
    after: "go" | "hold" | "drain",
  ): void {
    if (slice.committedId >= checkpointId) return;
    if (slice.pending === undefined) {
      expect(slice.state, "only started slices are asked for checkpoints").toMatch(/running|ended|failed/);
      if (slice.state === "failed") return;
      const output = slice.output;
      slice.output = [];
      slice.triggeredMs = this.nowMs;
      slice.pending = { checkpointId, after, ack: ackOf(slice, checkpointId, output), output };
      if (after !== "go") slice.state = "holding";
    }
    expect(slice.pending.checkpointId, "one checkpoint at a time").toBe(checkpointId);
    expect(slice.pending.after).toBe(after);
    const times = { alignmentMs: 0, cutMs: 1, unaligned: false, inFlightBytes: 0, uploadMs: 1 };
    this.#event(taskManager, index, { slice: slice.id, kind: "acknowledged", times, ...slice.pending.ack });
    this.#report(taskManager, index, slice);
  }

  #process(taskManager: SimulatedTaskManager, slice: SimulatedSlice): void {
    if (slice.state !== "running" || this.random() < 0.3) return;
    const failure = takeRecords(slice, this.options.bounded ? this.options.recordsPerSplit : Infinity, this.poison);
    if (failure !== undefined) return this.#event(taskManager, taskManager.indexOf(slice), failure);
    if (hasNoMore(slice)) {
      slice.state = "ended";
      this.#event(taskManager, taskManager.indexOf(slice), { slice: slice.id, kind: "ended" });
    } else if (this.random() < 0.1) this.#report(taskManager, taskManager.indexOf(slice), slice);
  }

  #report(taskManager: SimulatedTaskManager, index: number, slice: SimulatedSlice): void {
    const exchange = { bytesIn: 0, bytesOut: 0, queuedBytesIn: 0, queuedBytesOut: 0 };
    const report = { state: slice.state, busyMs: 0, backpressuredMs: 0, idleMs: 0, subtasks: [], exchange };
    this.#event(taskManager, index, { slice: slice.id, kind: "report", report });
  }
}
