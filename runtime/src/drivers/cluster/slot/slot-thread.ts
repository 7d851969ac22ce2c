// Slots as threads of this process, seen from its main thread: starts them, passes messages, and joins two of them by a message port.
import { once } from "node:events";
import { type MessagePort, Worker } from "node:worker_threads";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { SliceStatus } from "../slot-protocol.ts";
import type { OpenSlot, SlotListener, SlotRunner } from "../slot-runner.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

export interface SlotThreadOptions {
  /** The module that a slot's thread runs. */
  readonly entry: URL;
  /** Where exchange servers listen, and where other processes find them. */
  readonly host: string;
  /** What the thread needs to know; `index` is added. Copied to the thread, so plain data. */
  readonly data: Readonly<Record<string, unknown>>;
  /** How long a thread may take to start, ms. */
  readonly startTimeoutMs?: number;
}

const closeTimeoutMs = 10_000;

/** A function that starts slots, all of which find each other. */
export function slotThreads(options: SlotThreadOptions): OpenSlot {
  const threads = new Map<number, SlotThread>();
  return async (index, listener) => {
    const thread = new SlotThread(options, index, listener, threads);
    await thread.started(options.startTimeoutMs ?? 180_000);
    return thread;
  };
}

type Answer = (message: FromThread) => void;

class SlotThread implements SlotRunner {
  readonly host: string;
  port = 0;
  readonly #worker: Worker;
  readonly #listener: SlotListener;
  /** The slots of the process by the port of their exchange server. */
  readonly #threads: Map<number, SlotThread>;
  readonly #answers = new Map<number, Answer>();
  #nextRequest = 1;
  #closing = false;
  #ended: string | undefined;
  #ready: (() => void) | undefined;
  #refuse: ((reason: string) => void) | undefined;

  constructor(options: SlotThreadOptions, index: number, listener: SlotListener, threads: Map<number, SlotThread>) {
    this.host = options.host;
    this.#listener = listener;
    this.#threads = threads;
    this.#worker = new Worker(options.entry, { name: `slot ${index}`, workerData: { ...options.data, host: options.host, index } });
    this.#worker.on("message", (message: FromThread) => this.#take(message));
    this.#worker.on("error", (error) => this.#died(messageOf(error)));
    this.#worker.on("exit", (code) => this.#died(`its thread has ended with code ${code}`));
  }

  /** Settles when the slot can take commands. Rejects with SLOT_START. */
  started(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#refuse?.(`it was not ready within ${timeoutMs} ms`), timeoutMs);
      this.#ready = () => {
        clearTimeout(timer);
        this.#refuse = undefined;
        resolve();
      };
      this.#refuse = (reason) => {
        clearTimeout(timer);
        this.#closing = true;
        this.#worker.terminate().catch(() => {});
        reject(new MillraceError("SLOT_START", this.#worker.threadName ?? "slot", reason, "see the log of the process for why"));
      };
    });
  }

  #take(message: FromThread): void {
    switch (message.kind) {
      case "ready":
        this.port = message.port;
        this.#threads.set(message.port, this);
        this.#ready?.();
        return;
      case "event":
        return this.#listener.event(message.event);
      case "dial": {
        const peer = this.#threads.get(message.port);
        // Without a peer the port is closed, and the caller hears of a loss.
        if (peer === undefined) message.wire.close();
        else peer.#post({ kind: "wire", wire: message.wire }, [message.wire]);
        return;
      }
      case "status":
      case "profile":
        this.#answers.get(message.request)?.(message);
        this.#answers.delete(message.request);
    }
  }

  #post(message: ToThread, transfer: readonly MessagePort[] = []): void {
    this.#worker.postMessage(message, [...transfer]);
  }

  command(command: Parameters<SlotRunner["command"]>[0]): void {
    this.#post({ kind: "command", command });
  }

  status(): Promise<readonly SliceStatus[]> {
    return this.#ask((request) => ({ kind: "status", request })).then((answer) => (answer.kind === "status" ? answer.status : []));
  }

  async profile(durationMs: number): Promise<object> {
    const answer = await this.#ask((request) => ({ kind: "profile", request, durationMs }));
    if (answer.kind === "profile" && answer.profile !== undefined) return answer.profile;
    throw new Error(answer.kind === "profile" ? (answer.problem ?? "no profile") : "no profile");
  }

  #ask(question: (request: number) => ToThread): Promise<FromThread> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(new Error(this.#ended));
      const request = this.#nextRequest++;
      this.#answers.set(request, resolve);
      this.#post(question(request));
    });
  }

  #died(reason: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#threads.delete(this.port);
    for (const [request, answer] of this.#answers) answer({ kind: "profile", request, problem: reason });
    this.#answers.clear();
    if (this.#refuse !== undefined) this.#refuse(reason);
    else if (!this.#closing) this.#listener.died(reason);
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#ended !== undefined) return;
    const exit = once(this.#worker, "exit");
    this.#post({ kind: "close" });
    const timer = setTimeout(() => {
      this.#worker.terminate().catch(() => {});
    }, closeTimeoutMs);
    await exit;
    clearTimeout(timer);
  }
}
