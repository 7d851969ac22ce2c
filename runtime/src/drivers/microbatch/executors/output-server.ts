// Outputs of tasks over HTTP: a server at each executor, and whoever needs an output as its client.
import { Agent, createServer, request, type Server } from "node:http";
import { Agent as TlsAgent, createServer as createTlsServer, request as tlsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { clientTls, serverTls, watchServer } from "../../tls/mutual-tls.ts";
import { sameToken } from "../../cluster/rpc/rpc-server.ts";
import type { TlsSource } from "../../tls/tls-files.ts";
import { at, frameCorrupt, headerBytes, magic, maxFrameBytes } from "../../exchange/frame/layout.ts";
import type { OutputRef } from "./messages.ts";

/** What an executor gives out. */
export interface OutputReader {
  get(output: string, part: string): Promise<Buffer | undefined>;
}

export interface OutputServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSource | undefined;
  readonly token: (() => string | undefined) | undefined;
  readonly log: Log;
}

export interface OutputServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with EXECUTOR_LISTEN when the port is taken. */
export async function startOutputServer(outputs: OutputReader, options: OutputServerOptions): Promise<OutputServer> {
  const { tls, host, port, token, log } = options;
  const server: Server = tls === undefined ? createServer() : tlsServer(tls, log);
  server.on("request", (incoming, response) => {
    const expected = token?.();
    if (expected !== undefined && !sameToken(incoming.headers.authorization, `Bearer ${expected}`)) return response.writeHead(401).end();
    const [, folder, output, part] = (incoming.url ?? "").split("/");
    if (folder !== "outputs" || output === undefined || part === undefined) return response.writeHead(404).end();
    outputs.get(decodeURIComponent(output), decodeURIComponent(part)).then(
      (frames) =>
        frames === undefined ? response.writeHead(404).end() : response.writeHead(200, { "content-length": frames.length }).end(frames),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    );
    return undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new MillraceError("EXECUTOR_LISTEN", `${host}:${port}`, messageOf(cause), "choose another port with --exchange-port", { cause }),
      ),
    );
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function tlsServer(tls: TlsSource, log: Log): Server {
  const server = createTlsServer(serverTls(tls));
  watchServer(server, tls, (peer, reason) => log.warn("a connection for outputs was refused", { peer, reason }));
  return server;
}

/** An output that is not where it was said to be: its executor is gone, or has started anew. */
export class OutputMissing extends Error {
  readonly ref: OutputRef;

  constructor(ref: OutputRef, reason: string) {
    super(`output ${ref.output} of executor ${ref.executorId} at ${ref.address}: ${reason}`);
    this.ref = ref;
  }
}

const idleTimeoutMs = 30_000;

export class OutputClient {
  readonly #agent: Agent;
  readonly #tls: TlsSource | undefined;
  readonly #token: (() => string | undefined) | undefined;

  constructor(tls: TlsSource | undefined, token: (() => string | undefined) | undefined) {
    this.#tls = tls;
    this.#token = token;
    this.#agent = tls === undefined ? new Agent({ keepAlive: true }) : new TlsAgent({ keepAlive: true });
  }

  /** The frames of a part. Rejects with OutputMissing. */
  async fetch(ref: OutputRef, part: string): Promise<readonly ArrayBuffer[]> {
    let answer: { readonly status: number; readonly body: Buffer };
    try {
      answer = await this.#get(ref.address, `/outputs/${encodeURIComponent(ref.output)}/${encodeURIComponent(part)}`);
    } catch (error) {
      throw new OutputMissing(ref, messageOf(error));
    }
    if (answer.status !== 200) throw new OutputMissing(ref, `status ${answer.status}`);
    return splitFrames(answer.body);
  }

  #get(address: string, path: string): Promise<{ readonly status: number; readonly body: Buffer }> {
    const token = this.#token?.();
    const secure = this.#tls !== undefined;
    const send = secure ? tlsRequest : request;
    return new Promise((resolve, reject) => {
      const asked = send(
        `${secure ? "https" : "http"}://${address}${path}`,
        {
          ...(this.#tls === undefined ? {} : clientTls(this.#tls)),
          agent: this.#agent,
          timeout: idleTimeoutMs,
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.once("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
          response.once("error", reject);
          response.once("aborted", () => reject(new Error("the connection ended within the answer")));
        },
      );
      asked.once("timeout", () => asked.destroy(new Error("no answer in time")));
      asked.once("error", reject);
      asked.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Each frame in memory of its own, as a reader takes it. Throws EXCHANGE_FRAME_CORRUPT. */
export function splitFrames(bytes: Buffer): readonly ArrayBuffer[] {
  const frames: ArrayBuffer[] = [];
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let offset = 0; offset < bytes.length; ) {
    if (bytes.length - offset < headerBytes || data.getUint32(offset + at.magic, true) !== magic)
      throw frameCorrupt("an output does not consist of frames");
    const length = data.getUint32(offset + at.length, true);
    if (length < headerBytes || length > maxFrameBytes || offset + length > bytes.length)
      throw frameCorrupt(`a frame of an output says it has ${length} bytes`);
    const frame = new ArrayBuffer(length);
    new Uint8Array(frame).set(bytes.subarray(offset, offset + length));
    frames.push(frame);
    offset += length;
  }
  return frames;
}
