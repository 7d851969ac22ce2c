// A TaskManager's side of the control plane: one attempt to reach one JobManager.
import { WebSocket } from "ws";
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import { Connection, type ConnectionListener, type HeartbeatOptions } from "./connection.ts";
import { type LeaderMessage, maxMessageBytes, type WorkerMessage } from "./messages.ts";
import { clientTls, tlsProblem } from "../../tls/mutual-tls.ts";
import type { TlsSource } from "../../tls/tls-files.ts";

export type LeaderConnection = Connection<WorkerMessage, LeaderMessage>;

export interface RpcClientOptions {
  readonly tls: TlsSource | undefined;
  readonly token: string | undefined;
  readonly heartbeats: HeartbeatOptions;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

/** Connects to `host:port`; rejects when nobody answers in time. */
export function connectTo<In extends { readonly kind: string } = LeaderMessage, Out extends object = WorkerMessage>(
  address: string,
  options: RpcClientOptions,
  listener: ConnectionListener<In>,
): Promise<Connection<Out, In>> {
  const { tls, token, connectTimeoutMs } = options;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${tls === undefined ? "ws" : "wss"}://${address}`, {
      ...(tls === undefined ? {} : clientTls(tls)),
      handshakeTimeout: connectTimeoutMs,
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
    const failed = (error: Error): void => {
      socket.terminate();
      reject(new Error(`${address}: ${tlsProblem(error) ?? messageOf(error)}`));
    };
    socket.once("error", failed);
    socket.once("open", () => {
      socket.off("error", failed);
      resolve(new Connection<Out, In>(socket, address, options.clock, options.heartbeats, listener));
    });
  });
}
