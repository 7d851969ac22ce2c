// TaskManagers that have introduced themselves to a leader that is not ready: it takes the job over, or is to be told what to start from. They are
// registered the moment that it can.
import type { WorkerMessage } from "../rpc/messages.ts";
import type { Hello, WorkerConnection, WorkerListener } from "../rpc/rpc-server.ts";

/** What came from a TaskManager before there is anybody to hear it is little: nobody commands it. */
const maxMessages = 1000;

interface Waiting {
  readonly hello: Hello;
  readonly connection: WorkerConnection;
  readonly saidAtMs: number;
  readonly messages: WorkerMessage[];
  listener: WorkerListener | undefined;
}

export class WaitingWorkers {
  readonly #waiting = new Set<Waiting>();

  /** Keeps the connection until `admit` or `dismiss`. */
  add(hello: Hello, connection: WorkerConnection, saidAtMs: number): WorkerListener {
    const one: Waiting = { hello, connection, saidAtMs, messages: [], listener: undefined };
    this.#waiting.add(one);
    return {
      message: (message) => {
        if (one.listener !== undefined) one.listener.message(message);
        else if (one.messages.length < maxMessages) one.messages.push(message);
        else connection.close();
      },
      closed: (reason, silent) => {
        this.#waiting.delete(one);
        one.listener?.closed(reason, silent);
      },
    };
  }

  /** Hands all over; whoever is not taken tries again by itself. */
  admit(accept: (hello: Hello, connection: WorkerConnection, saidAtMs: number) => WorkerListener | object): void {
    for (const one of this.#waiting) {
      this.#waiting.delete(one);
      const accepted = accept(one.hello, one.connection, one.saidAtMs);
      if (!("message" in accepted) || typeof accepted.message !== "function") {
        one.connection.close();
        continue;
      }
      one.listener = accepted as WorkerListener;
      for (const message of one.messages.splice(0)) one.listener.message(message);
    }
  }

  /** Sends all away: they look for the leader again. */
  dismiss(): void {
    for (const { connection } of this.#waiting) connection.close();
    this.#waiting.clear();
  }
}
