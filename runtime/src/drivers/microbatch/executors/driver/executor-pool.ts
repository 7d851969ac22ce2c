// The executors of a query as its driver knows them: who is there, what each does, who is left out for a while, who is leaving.
import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import type { Connection, HeartbeatOptions } from "../../../cluster/rpc/connection.ts";
import { type RpcServer, startRpcServer } from "../../../cluster/rpc/rpc-server.ts";
import type { TlsSource } from "../../../tls/tls-files.ts";
import { type DriverMessage, type ExecutorMessage, executorProtocolVersion, partitionKey, type SplitGroup } from "../messages.ts";
import type { Place } from "./task-set.ts";

type Hello = Extract<ExecutorMessage, { readonly kind: "hello" }>;
type ExecutorConnection = Connection<DriverMessage, ExecutorMessage>;

/** `active` gets tasks; `excluded` gets none until its time is over; `leaving` gets none any more. */
export type ExecutorState = "active" | "excluded" | "leaving";

export interface ExecutorPoolOptions {
  readonly query: string;
  readonly fingerprint: string;
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSource | undefined;
  readonly token: (() => string | undefined) | undefined;
  readonly heartbeats: HeartbeatOptions;
  readonly clock: Clock;
  readonly log: Log;
  /** So many failed tasks in `failureMs` exclude an executor for `excludedMs`. */
  readonly maxFailures: number;
  readonly failureMs: number;
  readonly excludedMs: number;
}

export interface TaskOutcome {
  done(executorId: string, message: Extract<ExecutorMessage, { readonly kind: "done" }>): void;
  failed(executorId: string, message: Extract<ExecutorMessage, { readonly kind: "failed" }>): void;
  lost(executorId: string): void;
  /** Somebody has come, or is free again. */
  changed(): void;
}

interface Executor {
  readonly id: string;
  readonly slots: number;
  readonly address: string;
  readonly connection: ExecutorConnection;
  readonly running: Set<string>;
  /** The parts of the state that it has, and of which checkpoint. */
  readonly partitions: Map<string, number>;
  readonly failuresMs: number[];
  isLeaving: boolean;
  excludedUntilMs: number;
  finished: number;
  failed: number;
}

export class ExecutorPool {
  readonly #options: ExecutorPoolOptions;
  readonly #executors = new Map<string, Executor>();
  readonly #looks = new Map<
    number,
    { readonly executorId: string; readonly resolve: (lags: Readonly<Record<string, number>> | null | undefined) => void }
  >();
  #server: RpcServer | undefined;
  #epoch: number | undefined;
  #outcome: TaskOutcome | undefined;
  #nextRequest = 1;
  #version = 0;

  constructor(options: ExecutorPoolOptions) {
    this.#options = options;
  }

  /** Listens; executors are taken once `open` says with which epoch. Rejects with RPC_LISTEN. */
  async listen(): Promise<void> {
    const { host, port, tls, token, heartbeats, clock, log } = this.#options;
    this.#server = await startRpcServer<ExecutorMessage, DriverMessage>({
      ...{ host, port, tls, token, heartbeats, clock, log },
      names: { version: executorProtocolVersion, worker: "an executor", leader: "driver" },
      accept: (hello, connection) => this.#accept(hello, connection),
    });
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  open(epoch: number, outcome: TaskOutcome): void {
    this.#epoch = epoch;
    this.#outcome = outcome;
  }

  /** Rises when executors come or go. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#executors.size;
  }

  #accept(
    hello: Hello,
    connection: ExecutorConnection,
  ): { message(message: ExecutorMessage): void; closed(reason: string): void } | { readonly code: string; readonly message: string } {
    const { query, fingerprint, log } = this.#options;
    if (this.#epoch === undefined) return { code: "EXECUTOR_EARLY", message: "the driver is restoring" };
    if (hello.query !== query || hello.fingerprint !== fingerprint) {
      return {
        code: "EXECUTOR_OTHER_QUERY",
        message: `the executor runs query "${hello.query}" with another plan; start it with the driver's module, parameters and version`,
      };
    }
    // The same executor again: its earlier connection has not been found dead yet.
    this.#executors.get(hello.executorId)?.connection.close();
    if (this.#executors.has(hello.executorId)) this.#gone(hello.executorId, "came again");
    const executor: Executor = {
      id: hello.executorId,
      slots: hello.slots,
      address: hello.address,
      connection,
      running: new Set(),
      partitions: new Map(hello.partitions.map(({ partition, checkpointId }) => [partitionKey(partition), checkpointId])),
      failuresMs: [],
      isLeaving: false,
      excludedUntilMs: 0,
      finished: 0,
      failed: 0,
    };
    this.#executors.set(executor.id, executor);
    this.#version++;
    log.info("executor registered", { executorId: executor.id, slots: executor.slots, executors: this.#executors.size });
    connection.send({ kind: "welcome", epoch: this.#epoch });
    this.#outcome?.changed();
    return {
      message: (message) => this.#receive(executor, message),
      closed: (reason) => {
        if (this.#executors.get(executor.id) === executor) this.#gone(executor.id, reason);
      },
    };
  }

  #receive(executor: Executor, message: ExecutorMessage): void {
    switch (message.kind) {
      case "done":
        executor.running.delete(`${message.taskId}.${message.attempt}`);
        executor.finished++;
        this.#outcome?.done(executor.id, message);
        return;
      case "failed":
        executor.running.delete(`${message.taskId}.${message.attempt}`);
        executor.failed++;
        this.#outcome?.failed(executor.id, message);
        return;
      case "looked": {
        const look = this.#looks.get(message.requestId);
        this.#looks.delete(message.requestId);
        look?.resolve(message.lags);
        return;
      }
      case "leaving":
        executor.isLeaving = true;
        this.#version++;
        this.#options.log.info("executor leaving", { executorId: executor.id });
        this.#outcome?.changed();
        return;
      case "hello":
    }
  }

  #gone(executorId: string, reason: string): void {
    this.#executors.delete(executorId);
    this.#version++;
    for (const [requestId, look] of this.#looks) {
      if (look.executorId !== executorId) continue;
      this.#looks.delete(requestId);
      look.resolve(undefined);
    }
    this.#options.log.warn("executor lost", { executorId, reason, executors: this.#executors.size });
    this.#outcome?.lost(executorId);
  }

  #state(executor: Executor): ExecutorState {
    if (executor.isLeaving) return "leaving";
    return executor.excludedUntilMs > this.#options.clock.now() ? "excluded" : "active";
  }

  /** Who takes tasks. Where everybody is left out, those are better than nobody. */
  get active(): readonly string[] {
    const all = [...this.#executors.values()];
    const active = all.filter((one) => this.#state(one) === "active");
    return (active.length > 0 ? active : all.filter((one) => !one.isLeaving)).map(({ id }) => id);
  }

  places(): readonly Place[] {
    return this.active.map((executorId) => {
      const { slots, running } = this.#executors.get(executorId) as Executor;
      return { executorId, freeSlots: Math.max(0, slots - running.size) };
    });
  }

  slotsOf(executorId: string): number {
    return this.#executors.get(executorId)?.slots ?? 0;
  }

  /** The executor that has a part of the state as checkpoint `checkpointId` has it. */
  holderOf(partition: string, checkpointId: number): string | undefined {
    return [...this.#executors.values()].find((one) => one.partitions.get(partition) === checkpointId)?.id;
  }

  holds(executorId: string, partition: string, checkpointId: number): void {
    this.#executors.get(executorId)?.partitions.set(partition, checkpointId);
  }

  /** A task of this executor has failed by itself: too many of them, and it gets none for a while. */
  noteFailure(executorId: string): void {
    const executor = this.#executors.get(executorId);
    if (executor === undefined) return;
    const { clock, failureMs, maxFailures, excludedMs, log } = this.#options;
    const nowMs = clock.now();
    executor.failuresMs.push(nowMs);
    while ((executor.failuresMs[0] ?? nowMs) < nowMs - failureMs) executor.failuresMs.shift();
    if (executor.failuresMs.length < maxFailures || executor.excludedUntilMs > nowMs) return;
    executor.excludedUntilMs = nowMs + excludedMs;
    executor.failuresMs.length = 0;
    this.#version++;
    log.warn("executor left out", { executorId, failures: maxFailures, forMs: excludedMs });
  }

  send(executorId: string, message: DriverMessage): void {
    const executor = this.#executors.get(executorId);
    if (executor === undefined) return;
    if (message.kind === "run") executor.running.add(`${message.taskId}.${message.attempt}`);
    executor.connection.send(message);
  }

  broadcast(make: (executorId: string) => DriverMessage): void {
    for (const executorId of this.#executors.keys()) this.send(executorId, make(executorId));
  }

  /** What waits in the splits; null where the connector does not know, undefined where the executor is gone. */
  look(
    executorId: string,
    group: SplitGroup,
    bounded: boolean,
    maxMs: number,
  ): Promise<Readonly<Record<string, number>> | null | undefined> {
    if (!this.#executors.has(executorId)) return Promise.resolve(undefined);
    const requestId = this.#nextRequest++;
    return new Promise((resolve) => {
      this.#looks.set(requestId, { executorId, resolve });
      this.send(executorId, { kind: "look", requestId, group, bounded, maxMs });
    });
  }

  /** Between two batches nothing of those who leave is needed. */
  letGo(): void {
    for (const executor of this.#executors.values()) {
      if (!executor.isLeaving || executor.running.size > 0) continue;
      executor.connection.send({ kind: "released" });
    }
  }

  status(): readonly object[] {
    return [...this.#executors.values()].map((executor) => ({
      id: executor.id,
      address: executor.address,
      slots: executor.slots,
      state: this.#state(executor),
      runningTasks: executor.running.size,
      finishedTasks: executor.finished,
      failedTasks: executor.failed,
      statePartitions: executor.partitions.size,
    }));
  }

  async close(): Promise<void> {
    this.#outcome = undefined;
    await this.#server?.close();
    this.#executors.clear();
    for (const { resolve } of this.#looks.values()) resolve(undefined);
    this.#looks.clear();
  }
}
