// An executor: keeps a connection to the query's driver, runs the tasks that come, and goes in order when it is told to.
import type { Clock } from "../../../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../../../base/errors.ts";
import type { Log } from "../../../../base/log.ts";
import type { Connection, HeartbeatOptions } from "../../../cluster/rpc/connection.ts";
import { connectTo } from "../../../cluster/rpc/rpc-client.ts";
import type { TlsSource } from "../../../tls/tls-files.ts";
import { type DriverMessage, type ExecutorMessage, type ExecutorTask, executorProtocolVersion, type SplitGroup } from "../messages.ts";
import { OutputMissing } from "../output-server.ts";
import type { TaskWorker } from "./task-worker.ts";

export interface ExecutorParts {
  readonly executorId: string;
  readonly queryName: string;
  readonly fingerprint: string;
  readonly slots: number;
  /** host:port of the driver. */
  readonly driver: string;
  readonly worker: TaskWorker;
  readonly tls: TlsSource | undefined;
  readonly token: (() => string | undefined) | undefined;
  readonly heartbeats: HeartbeatOptions;
  /** Without a driver for this long it ends, ms. */
  readonly orphanMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Refusals that waiting does not mend. */
const finalRefusals: ReadonlySet<string> = new Set(["EXECUTOR_OTHER_QUERY", "RPC_VERSION"]);
const connectTimeoutMs = 5000;
const firstPauseMs = 100;
const maxPauseMs = 2000;

export class Executor {
  readonly #parts: ExecutorParts;
  readonly #running = new Map<string, { readonly task: ExecutorTask; isCancelled: boolean }>();
  #connection: Connection<ExecutorMessage, DriverMessage> | undefined;
  readonly #released = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #state: "running" | "leaving" | "ended" = "running";
  /** What an earlier driver left is cleared away: tasks may begin. */
  #ready: Promise<void> = Promise.resolve();
  #cancelPause: (() => void) | undefined;

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  get runningTasks(): number {
    return this.#running.size;
  }

  /** Connects again and again until it has left. Rejects where no driver will ever take it, or none was there for too long. */
  async run(): Promise<void> {
    const { clock, log, driver, orphanMs } = this.#parts;
    let pauseMs = firstPauseMs;
    let aloneSinceMs = clock.now();
    let told = false;
    while (this.#state !== "ended") {
      const outcome = await this.#connect().catch((error: unknown) => ({ kind: "unreachable" as const, reason: messageOf(error) }));
      if (outcome.kind === "closed") {
        aloneSinceMs = clock.now();
        pauseMs = firstPauseMs;
        told = false;
        continue;
      }
      if (outcome.kind === "refused" && finalRefusals.has(outcome.code))
        throw new MillraceError(outcome.code, `driver ${driver}`, outcome.reason, "start the executor as its driver was started");
      if (clock.now() - aloneSinceMs > orphanMs)
        throw new MillraceError("EXECUTOR_ORPHANED", `driver ${driver}`, outcome.reason, "start a driver there, or end its executors");
      if (!told) log.info("waiting for the driver", { driver, reason: outcome.reason });
      told = true;
      await this.#pause(pauseMs);
      pauseMs = Math.min(maxPauseMs, pauseMs * 2);
    }
  }

  /** Takes no more tasks, and ends when nothing of it is needed any more, at the latest after `atMostMs`. */
  async leave(atMostMs: number): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "leaving";
    this.#connection?.send({ kind: "leaving" });
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(this.#connection === undefined ? 0 : atMostMs, resolve);
    });
    await Promise.race([this.#released.promise, late]);
    cancel();
    this.#state = "ended";
    this.#cancelPause?.();
    this.#connection?.close();
    this.#ended.resolve();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }

  async #connect(): Promise<{ readonly kind: "closed" } | { readonly kind: "refused"; readonly code: string; readonly reason: string }> {
    const { driver, tls, token, heartbeats, clock, worker, queryName, fingerprint, executorId, slots, log } = this.#parts;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    let welcomed = false;
    let refused: { readonly code: string; readonly message: string } | undefined;
    const options = { tls, token: token?.(), heartbeats, connectTimeoutMs, clock };
    const connection: Connection<ExecutorMessage, DriverMessage> = await connectTo<DriverMessage, ExecutorMessage>(driver, options, {
      message: (message) => {
        if (message.kind === "refused") {
          refused = message;
          return;
        }
        if (message.kind === "welcome") {
          welcomed = true;
          log.info("driver found", { driver, epoch: message.epoch });
        }
        this.#receive(connection, message).catch((error: unknown) => {
          log.error("a message of the driver could not be followed", { kind: message.kind, reason: messageOf(error) });
          connection.close();
          end();
        });
      },
      closed: (reason) => {
        log.info("driver lost", { driver, reason });
        end();
      },
    });
    if (this.#state === "ended") connection.close();
    const { address, held } = worker;
    connection.send({
      ...{ kind: "hello", version: executorProtocolVersion, query: queryName },
      ...{ fingerprint, executorId, slots, address, partitions: held },
    });
    await Promise.race([over, this.#ended.promise]);
    // Who leaves while it is being welcomed is not to be taken for somebody who is there.
    connection.close();
    this.#connection = undefined;
    for (const one of this.#running.values()) one.isCancelled = true;
    if (welcomed || this.#state === "ended") return { kind: "closed" };
    return { kind: "refused", code: refused?.code ?? "", reason: refused?.message ?? "it closed the connection" };
  }

  async #receive(connection: Connection<ExecutorMessage, DriverMessage>, message: DriverMessage): Promise<void> {
    const { worker } = this.#parts;
    switch (message.kind) {
      case "welcome":
        this.#ready = worker.begin(message.epoch);
        await this.#ready;
        this.#connection = connection;
        if (this.#state === "leaving") connection.send({ kind: "leaving" });
        return;
      case "run":
        return this.#task(connection, message);
      case "cancel": {
        const running = this.#running.get(`${message.taskId}.${message.attempt}`);
        if (running !== undefined) running.isCancelled = true;
        return;
      }
      case "look": {
        const { requestId, group, bounded, maxMs } = message;
        const lags = await this.#look(group, bounded, maxMs);
        return connection.send({ kind: "looked", requestId, lags });
      }
      case "published":
        return worker.published(message.checkpointId, message.partitions);
      case "release":
        return worker.release(message.outputs, message.groups);
      case "released":
        this.#released.resolve();
        return;
      case "refused":
    }
  }

  // Whoever only asks is not told of failures: the task that reads meets them again.
  async #look(group: SplitGroup, bounded: boolean, maxMs: number): Promise<Readonly<Record<string, number>> | null> {
    const { worker, log } = this.#parts;
    try {
      await this.#ready;
      return await worker.look(group, bounded, maxMs);
    } catch (error) {
      log.warn("what waits in a source cannot be told", { source: group.scan, reason: messageOf(error) });
      return null;
    }
  }

  async #task(
    connection: Connection<ExecutorMessage, DriverMessage>,
    { taskId, attempt, task }: Extract<DriverMessage, { readonly kind: "run" }>,
  ): Promise<void> {
    const { worker, log } = this.#parts;
    const output = `${taskId}.${attempt}`;
    const running = { task, isCancelled: false };
    this.#running.set(output, running);
    try {
      await this.#ready;
      const result = await worker.run(task, output);
      if (running.isCancelled) await worker.forget(task, output);
      else connection.send({ kind: "done", taskId, attempt, result });
    } catch (error) {
      log.warn("task failed", { taskId, attempt, reason: messageOf(error) });
      if (running.isCancelled) return;
      const code = isMillraceError(error) ? error.code : "INTERNAL";
      const missing = error instanceof OutputMissing ? { missing: error.ref } : {};
      connection.send({ kind: "failed", taskId, attempt, code, message: messageOf(error), ...missing });
    } finally {
      this.#running.delete(output);
    }
  }
}
