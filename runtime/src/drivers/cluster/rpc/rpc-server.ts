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

export interface WorkerListener<In = WorkerMessage> {
  message(message: In): void;
  closed(reason: string, silent: boolean): void;
}

type HelloOf<In> = Extract<In, { readonly kind: "hello" }>;

/** Takes a process that has introduced itself, or says why not. */
export type Accept<In extends { readonly kind: string } = WorkerMessage, Out extends object = LeaderMessage> = (
  hello: HelloOf<In>,
  connection: Connection<Out, In>,
) => WorkerListener<In> | { readonly code: string; readonly message: string; readonly leader?: string };

/** The protocol that is spoken, and what its two sides are called. */
export interface ProtocolNames {
  readonly version: number;
  readonly worker: string;
  readonly leader: string;
}

const clusterNames: ProtocolNames = { version: protocolVersion, worker: "a TaskManager", leader: "JobManager" };

export interface RpcServerOptions<In extends { readonly kind: string } = WorkerMessage, Out extends object = LeaderMessage> {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsSource | undefined;
  /** Asked of every connection, where it is given. */
  readonly token: (() => string | undefined) | undefined;
  readonly heartbeats: HeartbeatOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly accept: Accept<In, Out>;
  /** Default those of a job on TaskManagers. */
  readonly names?: ProtocolNames;
}

export interface RpcServer {
  readonly port: number;
  close(): Promise<void>;
}

/** How long a connection may be silent before it introduces itself, ms. */
const helloMs = 10_000;

/** Rejects with RPC_LISTEN when the port is taken. */
export async function startRpcServer<In extends { readonly kind: string } = WorkerMessage, Out extends object = LeaderMessage>(
  options: RpcServerOptions<In, Out>,
): Promise<RpcServer> {
  const { tls, host, port, log, names = clusterNames } = options;
  const server: Server = tls === undefined ? createServer() : tlsServer(tls, log);
  server.on("request", (_request, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({
    server,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => isAllowed(req, options.token?.()),
  });
  const open = new Set<Connection<Out, In>>();
  sockets.on("connection", (socket, request) => {
    const peer = `${request.socket.remoteAddress ?? "?"}:${request.socket.remotePort ?? 0}`;
    let listener: WorkerListener<In> | undefined;
    const connection: Connection<Out, In> = new Connection<Out, In>(socket, peer, options.clock, options.heartbeats, {
      message(message) {
        if (listener !== undefined) listener.message(message);
        else listener = introduce(message, connection, options.accept, names);
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

function introduce<In extends { readonly kind: string }, Out extends object>(
  message: In,
  connection: Connection<Out, In>,
  accept: Accept<In, Out>,
  { version, worker, leader }: ProtocolNames,
): WorkerListener<In> | undefined {
  const refuse = (refusal: { readonly code: string; readonly message: string; readonly leader?: string }): undefined => {
    connection.send({ kind: "refused", ...refusal } as unknown as Out);
    connection.close();
    return undefined;
  };
  if (message.kind !== "hello") return refuse({ code: "RPC_MESSAGE", message: `${worker} introduces itself first` });
  const hello = message as HelloOf<In> & { readonly version?: unknown };
  if (hello.version !== version) {
    return refuse({
      code: "RPC_VERSION",
      message: `${worker} speaks version ${String(hello.version)} of the protocol, this ${leader} ${version}; run one version of millrace in all of a job's processes`,
    });
  }
  const accepted = accept(hello, connection);
  return "message" in accepted && typeof accepted.message === "function"
    ? (accepted as WorkerListener<In>)
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
