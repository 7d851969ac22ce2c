// One HTTP request for which the calling thread waits: decoding is synchronous, and a record may bring a schema id that was never seen.
//
// That happens once per new schema version, and takes as long as the registry takes to answer; a decoder that could wait would have to give
// back half a block and keep its place between barriers.
import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";

export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
}

export type HttpOutcome = { readonly status: number; readonly body: string } | { readonly failure: string };

// Runs in a thread of its own, whose event loop is free while the calling one waits.
const workerSource = `
const { workerData } = require("node:worker_threads");
const { request, port, done } = workerData;
const { url, method, headers, body, timeoutMs } = request;
fetch(url, { method, headers, body, redirect: "follow", signal: AbortSignal.timeout(timeoutMs) })
  .then(async (response) => ({ status: response.status, body: await response.text() }))
  .catch((error) => ({ failure: String(error.cause?.message ?? error.message ?? error) }))
  .then((outcome) => {
    port.postMessage(outcome);
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
    port.close();
  });
`;

/** Makes the request and waits for it, at most a little longer than its timeout. */
export function blockingFetch(request: HttpRequest): HttpOutcome {
  const done = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(workerSource, { eval: true, workerData: { request, port: port2, done }, transferList: [port2] });
  worker.unref();
  try {
    Atomics.wait(done, 0, 0, request.timeoutMs + 2000);
    const received = receiveMessageOnPort(port1) as { readonly message: HttpOutcome } | undefined;
    return received?.message ?? { failure: `no answer within ${request.timeoutMs} ms` };
  } finally {
    port1.close();
    void worker.terminate();
  }
}
