// The registry of tests in a thread of its own: for clients that block their thread while they wait for it.
import { once } from "node:events";
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { RegistryServer } from "./registry-server.suite.ts";

interface Registration {
  readonly subject: string;
  readonly schema: string;
  readonly schemaType?: string;
}

export class RegistryThread {
  readonly #worker = new Worker(new URL("./registry-thread.suite.ts", import.meta.url));

  /** The address of the running server. */
  async start(): Promise<string> {
    const [url] = (await once(this.#worker, "message")) as [string];
    return url;
  }

  /** Registers a schema and gives its id. */
  async register(registration: Registration): Promise<number> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(registration);
    const [id] = (await once(this.#worker, "message")) as [number];
    return id;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const server = new RegistryServer();
  port.on("message", ({ subject, ...schema }: Registration) => port.postMessage(server.register(subject, schema)));
  port.postMessage(await server.start());
}
