// Messages that take their time, in the simulated world: in order within a connection, and lost with it.

interface Message {
  readonly atMs: number;
  readonly run: () => void;
}

export class SimulatedMessages {
  /** By connection. */
  readonly #queues = new Map<string, Message[]>();

  /** In order within a connection, however long the delay. */
  send(connection: string, nowMs: number, delayMs: number, run: () => void): void {
    const messages = this.#queues.get(connection) ?? [];
    const atMs = Math.max(nowMs + delayMs, messages.at(-1)?.atMs ?? 0);
    messages.push({ atMs, run });
    this.#queues.set(connection, messages);
  }

  /** What is due arrives. */
  arrive(nowMs: number): void {
    for (const [connection, queue] of this.#queues) {
      while (queue[0] !== undefined && queue[0].atMs <= nowMs) queue.shift()?.run();
      if (queue.length === 0) this.#queues.delete(connection);
    }
  }

  /** What is on its way over connections that break never arrives. */
  lose(isBroken: (connection: string) => boolean): void {
    for (const connection of [...this.#queues.keys()]) if (isBroken(connection)) this.#queues.delete(connection);
  }
}
