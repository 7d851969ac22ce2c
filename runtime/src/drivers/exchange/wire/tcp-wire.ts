// Wires between processes: one TCP connection each, with mutual TLS where certificates are configured.
import { createServer, type AddressInfo, connect as connectTcp, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { messageOf, MillraceError } from "../../../base/errors.ts";
import type { SlotAddress } from "../../cluster/slot-protocol.ts";
import { clientTls, serverTls, tlsProblem, watchServer } from "../../tls/mutual-tls.ts";
import type { TlsSource } from "../../tls/tls-files.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import type { Incoming, Transport, Wire, WireListener } from "./wire.ts";

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsSource;
  readonly connectTimeoutMs?: number;
  /** A connection was refused because of its certificate. */
  readonly refused?: (peer: string, reason: string) => void;
}

class TcpWire implements Wire {
  readonly #socket: Socket;
  readonly #early: ArrayBuffer[] = [];
  #listener: WireListener | undefined;
  #lost: string | undefined;
  #closed = false;
  #corked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    const splitter = new FrameSplitter((frame) => this.#give(frame));
    socket.on("data", (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } catch (error) {
        socket.destroy();
        this.#lose(messageOf(error));
      }
    });
    socket.on("error", (error) => this.#lose(messageOf(error)));
    socket.on("close", () => this.#lose("the connection was closed"));
  }

  #give(frame: ArrayBuffer): void {
    if (this.#closed || this.#lost !== undefined) return;
    if (this.#listener === undefined) this.#early.push(frame);
    else this.#listener.frame(frame);
  }

  #lose(reason: string): void {
    if (this.#closed || this.#lost !== undefined) return;
    this.#lost = reason;
    this.#listener?.lost(reason);
  }

  listen(listener: WireListener): void {
    this.#listener = listener;
    for (const frame of this.#early.splice(0)) listener.frame(frame);
    if (this.#lost !== undefined) listener.lost(this.#lost);
  }

  send(frame: ArrayBuffer): void {
    if (this.#closed || this.#lost !== undefined) return;
    // What one turn of the loop sends goes out in one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(new Uint8Array(frame));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.end();
    // A peer that takes nothing must not keep the connection open.
    this.#socket.setTimeout(1000, () => this.#socket.destroy());
  }
}

function tlsServer(tls: TlsSource, take: (socket: Socket) => void, refused: (peer: string, reason: string) => void): Server {
  const server = createTlsServer(serverTls(tls), take);
  watchServer(server, tls, refused);
  return server;
}

/** A slot's side of TCP: listens for others, and connects to them. */
export class TcpTransport implements Transport {
  readonly port: number;
  readonly #server: Server;
  readonly #tls: TlsSource | undefined;
  readonly #timeoutMs: number;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, tls: TlsSource | undefined, timeoutMs: number) {
    this.#server = server;
    this.#tls = tls;
    this.#timeoutMs = timeoutMs;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Listens at `host`, on a free port where `port` is 0. Rejects with EXCHANGE_LISTEN. */
  static async listen(options: TcpOptions, incoming: Incoming): Promise<TcpTransport> {
    const { host, port, tls, connectTimeoutMs = 5000, refused = () => {} } = options;
    const late: { transport?: TcpTransport } = {};
    const take = (socket: Socket): void => {
      late.transport?.keep(socket);
      incoming(new TcpWire(socket));
    };
    const server = tls === undefined ? createServer(take) : tlsServer(tls, take, refused);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => {
        reject(new MillraceError("EXCHANGE_LISTEN", `${host}:${port}`, messageOf(cause), "choose another address or port", { cause }));
      });
      server.listen(port, host, resolve);
    });
    const transport = new TcpTransport(server, tls, connectTimeoutMs);
    late.transport = transport;
    return transport;
  }

  /** Takes note of a socket, so that it is closed with the transport. */
  keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  dial(peer: SlotAddress): Promise<Wire> {
    const { host, port } = peer;
    return new Promise((resolve, reject) => {
      const socket = this.#tls === undefined ? connectTcp({ host, port }) : connectTls({ host, port, ...clientTls(this.#tls) });
      this.keep(socket);
      const fail = (cause: unknown): void => {
        socket.destroy();
        reject(
          new MillraceError(
            "EXCHANGE_UNREACHABLE",
            `slot ${peer.slot} at ${host}:${port}`,
            tlsProblem(cause) ?? messageOf(cause),
            "see whether its process runs and the network lets it through",
            {
              cause,
            },
          ),
        );
      };
      socket.setTimeout(this.#timeoutMs, () => fail(new Error(`no answer within ${this.#timeoutMs} ms`)));
      socket.once("error", fail);
      socket.once(this.#tls === undefined ? "connect" : "secureConnect", () => {
        socket.setTimeout(0);
        socket.off("error", fail);
        resolve(new TcpWire(socket));
      });
    });
  }

  /** Ends the server and all connections. */
  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
