// Where TaskManagers connect to: authenticates them, and hands their connections to whoever leads.
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { Connection, type HeartbeatOptions } from "./connection.ts";
import { type LeaderMessage, maxMessageBytes, protocolVersion, type WorkerMessage } from "./messages.ts";
import { serverTls, watchServer } from "../../tls/mutual-tls.ts";
import type { TlsSource } from "../../tls/tls-files.ts";

export type Hello = Extract<WorkerMessage, { readonly kind: "hello" }>;
export type WorkerConnection = Connection<LeaderMessage, WorkerMessage>;

export interface WorkerListener {
  message(message: WorkerMessage): void;
  closed(reason: string, silent: boolean): void;
}

/** Takes a TaskManager that has introduced itself, or says why not. */
export type Accept = (
  hello: Hello,
  connection: WorkerConnection,
) => WorkerListener | { readonly code: string; readonly message: string; readonly leader?: string };

export interface RpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSource | undefined;
  /** Asked of every connection, where it is given. */
  readonly token: (() => string | undefined) | undefined;
  readonly heartbeats: HeartbeatOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly accept: Accept;
}

export interface RpcServer {
  readonly port: number;
  close(): Promise<void>;
}

/** How long a connection may be silent before it introduces itself, ms. */
const helloMs = 10_000;

/** Rejects with RPC_LISTEN when the port is taken. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { tls, host, port, log } = options;
  const server: Server = tls === undefined ? createServer() : tlsServer(tls, log);
  server.on("request", (_request, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({
    server,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => isAllowed(req, options.token?.()),
  });
  const open = new Set<WorkerConnection>();
  sockets.on("connection", (socket, request) => {
    const peer = `${request.socket.remoteAddress ?? "?"}:${request.socket.remotePort ?? 0}`;
    let listener: WorkerListener | undefined;
    const connection: WorkerConnection = new Connection<LeaderMessage, WorkerMessage>(socket, peer, options.clock, options.heartbeats, {
      message(message) {
        if (listener !== undefined) listener.message(message);
        else listener = introduce(message, connection, options.accept);
      },
      closed(reason, silent) {
        open.delete(connection);
        listener?.closed(reason, silent);
      },
    });
    open.add(connection);
    options.clock.after(helloMs, () => {
      if (listener === undefined) connection.close();
    });
  });
  sockets.on("error", (error) => log.warn("control connection failed", { reason: messageOf(error) }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new MillraceError("RPC_LISTEN", `${host}:${port}`, messageOf(cause), "choose another port with --rpc-port", { cause })),
    );
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const connection of open) connection.close();
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => {
        sockets.close();
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function tlsServer(tls: TlsSource, log: Log): Server {
  const server = createTlsServer(serverTls(tls));
  watchServer(server, tls, (peer, reason) => log.warn("a control connection was refused", { peer, reason }));
  return server;
}

function introduce(message: WorkerMessage, connection: WorkerConnection, accept: Accept): WorkerListener | undefined {
  const refuse = (refusal: { readonly code: string; readonly message: string; readonly leader?: string }): undefined => {
    connection.send({ kind: "refused", ...refusal });
    connection.close();
    return undefined;
  };
  if (message.kind !== "hello") return refuse({ code: "RPC_MESSAGE", message: "a TaskManager introduces itself first" });
  if (message.version !== protocolVersion) {
    return refuse({
      code: "RPC_VERSION",
      message: `the TaskManager speaks version ${message.version} of the protocol, this JobManager ${protocolVersion}; run one version of millrace in all of a job's processes`,
    });
  }
  const accepted = accept(message, connection);
  return "message" in accepted && typeof accepted.message === "function"
    ? (accepted as WorkerListener)
    : refuse(accepted as { code: string; message: string });
}

function isAllowed(request: IncomingMessage, token: string | undefined): boolean {
  if (token === undefined) return true;
  return sameToken(request.headers.authorization, `Bearer ${token}`);
}

/** Compares without telling by its time how much was right. */
export function sameToken(given: string | undefined, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(expected));
}
