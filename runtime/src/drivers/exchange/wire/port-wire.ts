// Wires between threads of one process: a message port each, over which buffers are handed, not copied.
import type { MessagePort } from "node:worker_threads";
import type { Wire, WireListener } from "./wire.ts";

class PortWire implements Wire {
  readonly #port: MessagePort;
  #closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  listen(listener: WireListener): void {
    // Messages wait in the port until it has a listener.
    this.#port.on("message", (frame: ArrayBuffer) => {
      if (!this.#closed) listener.frame(frame);
    });
    this.#port.on("close", () => {
      if (this.#closed) return;
      this.#closed = true;
      listener.lost("the other thread has ended");
    });
  }

  send(frame: ArrayBuffer): void {
    if (!this.#closed) this.#port.postMessage(frame, [frame]);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.close();
  }
}

export function portWire(port: MessagePort): Wire {
  return new PortWire(port);
}
