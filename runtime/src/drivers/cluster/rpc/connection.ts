// One connection of the control plane: ordered messages over a WebSocket, with heartbeats in both directions and a bounded queue.
import { WebSocket } from "ws";
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { decodeMessage, maxMessageBytes } from "./messages.ts";

export interface HeartbeatOptions {
  /** Time between two pings, ms. */
  readonly intervalMs: number;
  /** Without a sign of life for this long the other side counts as gone, ms. */
  readonly timeoutMs: number;
}

export const defaultHeartbeats: HeartbeatOptions = { intervalMs: 1000, timeoutMs: 4000 };

export interface ConnectionListener<In> {
  message(message: In): void;
  /** Once; `silent`: it did not answer, rather than closing. */
  closed(reason: string, silent: boolean): void;
}

export class Connection<Out extends object, In extends { readonly kind: string }> {
  readonly #socket: WebSocket;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #heartbeats: HeartbeatOptions;
  readonly #listener: ConnectionListener<In>;
  #heardMs: number;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(socket: WebSocket, peer: string, clock: Clock, heartbeats: HeartbeatOptions, listener: ConnectionListener<In>) {
    this.#socket = socket;
    this.#peer = peer;
    this.#clock = clock;
    this.#heartbeats = heartbeats;
    this.#listener = listener;
    this.#heardMs = clock.now();
    const heard = (): void => {
      this.#heardMs = clock.now();
    };
    socket.on("ping", heard);
    socket.on("pong", heard);
    socket.on("message", (data: Buffer) => {
      heard();
      this.#receive(data);
    });
    socket.on("error", (error) => this.#end(messageOf(error), false));
    socket.on("close", (code) => this.#end(`closed the connection (${code})`, false));
    this.#beat();
  }

  get peer(): string {
    return this.#peer;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** In order; when the other side takes nothing for so long that too much waits, the connection is given up. */
  send(message: Out): void {
    if (this.#closed) return;
    this.#socket.send(JSON.stringify(message));
    if (this.#socket.bufferedAmount > maxMessageBytes) this.#end("does not take its messages", true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel?.();
    this.#socket.close();
    // A peer that does not answer the close must not hold the socket.
    this.#clock.after(1000, () => this.#socket.terminate());
  }

  #receive(data: Buffer): void {
    if (this.#closed) return;
    try {
      this.#listener.message(decodeMessage<In>(data.toString("utf8"), this.#peer));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#end(error.message, false);
    }
  }

  #beat(): void {
    this.#cancel = this.#clock.after(this.#heartbeats.intervalMs, () => {
      if (this.#closed) return;
      const silentMs = this.#clock.now() - this.#heardMs;
      // This process itself may have stood still: what came meanwhile is read before anybody is judged.
      if (silentMs >= this.#heartbeats.timeoutMs) {
        setImmediate(() => setImmediate(() => this.#judge()));
        return;
      }
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
      this.#beat();
    });
  }

  #judge(): void {
    const silentMs = this.#clock.now() - this.#heardMs;
    if (silentMs >= this.#heartbeats.timeoutMs) this.#end(`gave no sign of life for ${Math.round(silentMs)} ms`, true);
    else if (!this.#closed) this.#beat();
  }

  #end(reason: string, silent: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel?.();
    this.#socket.terminate();
    this.#listener.closed(reason, silent);
  }
}
