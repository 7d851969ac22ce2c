// The TaskManagers that are connected to this leader.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { CoordinatorAction, CoordinatorEvent } from "../coordinator/types.ts";
import type { WorkerMessage } from "../rpc/messages.ts";
import type { Hello, WorkerConnection, WorkerListener } from "../rpc/rpc-server.ts";

interface Worker {
  readonly connection: WorkerConnection;
  taken: number;
}

export class WorkerRegistry {
  readonly #workers = new Map<string, Worker>();
  readonly #tell: (event: CoordinatorEvent) => void;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #profiles = new Map<number, { readonly resolve: (profile: object) => void; readonly reject: (error: Error) => void }>();
  #nextRequest = 1;

  constructor(tell: (event: CoordinatorEvent) => void, clock: Clock, log: Log) {
    this.#tell = tell;
    this.#clock = clock;
    this.#log = log;
  }

  add(hello: Hello, connection: WorkerConnection, epoch: number, saidAtMs: number): WorkerListener {
    const { taskManagerId, slots, slices } = hello;
    // The same process over a new connection: the old one is dead and has not been noticed yet.
    this.#workers.get(taskManagerId)?.connection.close();
    const worker: Worker = { connection, taken: 0 };
    this.#workers.set(taskManagerId, worker);
    connection.send({ kind: "welcome", epoch });
    this.#log.info("TaskManager registered", { taskManagerId, address: connection.peer, slots: slots.length, slices: slices.length });
    this.#tell({ kind: "registered", taskManagerId, slots, slices, saidAtMs });
    const isCurrent = (): boolean => this.#workers.get(taskManagerId) === worker;
    return {
      message: (message) => {
        if (isCurrent()) this.#receive(taskManagerId, worker, message);
      },
      closed: (reason, silent) => {
        if (!isCurrent()) return;
        this.#workers.delete(taskManagerId);
        this.#log.warn("TaskManager disconnected", { taskManagerId, reason });
        this.#tell({ kind: "disconnected", taskManagerId, gone: silent, reason });
      },
    };
  }

  act(action: Extract<CoordinatorAction, { readonly kind: "send" | "resetSlot" }>): void {
    const connection = this.#workers.get(action.taskManagerId)?.connection;
    if (action.kind === "resetSlot") connection?.send({ kind: "resetSlot", index: action.index });
    else connection?.send({ kind: "command", index: action.index, incarnation: action.incarnation, command: action.command });
  }

  /** A CPU profile of a slot's thread. */
  profile(taskManagerId: string, index: number, durationMs: number): Promise<object> {
    const worker = this.#workers.get(taskManagerId);
    if (worker === undefined) return Promise.reject(new Error(`${taskManagerId} is not connected`));
    const requestId = this.#nextRequest++;
    return new Promise<object>((resolve, reject) => {
      const cancel = this.#clock.after(durationMs + 10_000, () => {
        this.#profiles.delete(requestId);
        reject(new Error(`${taskManagerId} sent no profile`));
      });
      const settle = (): void => {
        this.#profiles.delete(requestId);
        cancel();
      };
      this.#profiles.set(requestId, {
        resolve: (profile) => {
          settle();
          resolve(profile);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      worker.connection.send({ kind: "profile", requestId, index, durationMs });
    });
  }

  close(): void {
    for (const { connection } of this.#workers.values()) connection.close();
    this.#workers.clear();
    for (const waiting of [...this.#profiles.values()]) waiting.reject(new Error("this JobManager leads no longer"));
  }

  #receive(taskManagerId: string, worker: Worker, message: WorkerMessage): void {
    switch (message.kind) {
      case "event":
        this.#tell({ kind: "slot", taskManagerId, index: message.index, event: message.event });
        break;
      case "slotDied":
        this.#tell({ kind: "slotDied", taskManagerId, index: message.index, incarnation: message.incarnation, reason: message.reason });
        break;
      case "slotBack":
        this.#tell({ kind: "slotBack", taskManagerId, slot: message.slot });
        break;
      case "profile": {
        const waiting = this.#profiles.get(message.requestId);
        if (message.profile !== undefined) waiting?.resolve(message.profile);
        else waiting?.reject(new Error(message.failure ?? "no profile"));
        return;
      }
      case "goodbye":
        this.#workers.delete(taskManagerId);
        worker.connection.close();
        this.#tell({ kind: "disconnected", taskManagerId, gone: true, reason: message.reason });
        return;
      case "hello":
        return;
    }
    const { sequence } = message;
    if (sequence === undefined || sequence <= worker.taken) return;
    worker.taken = sequence;
    worker.connection.send({ kind: "taken", sequence });
  }
}
