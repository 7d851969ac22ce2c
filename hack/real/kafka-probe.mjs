// Asks a broker for its cluster's metadata over a bare socket: ready means that every broker is registered, not only that a port is open.
import { connect } from "node:net";

const TIMEOUT_MS = 5000;

/** Ids of the brokers that the cluster knows, as the broker at this port tells them. */
export function registeredBrokers(port, host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const received = [];
    const finish = (settle, value) => {
      socket.destroy();
      settle(value);
    };
    socket.setTimeout(TIMEOUT_MS, () => finish(reject, new Error(`no answer within ${TIMEOUT_MS} ms`)));
    socket.once("error", (error) => finish(reject, error));
    socket.once("close", () => reject(new Error("the connection was closed")));
    socket.once("connect", () => socket.write(metadataRequest()));
    socket.on("data", (chunk) => {
      received.push(chunk);
      const bytes = Buffer.concat(received);
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) finish(resolve, brokersOf(bytes));
    });
  });
}

/** Metadata request, version 1, for no topic: size, api key 3, version, correlation id, client id, empty array of topics. */
function metadataRequest() {
  const client = Buffer.from("millrace-probe");
  const request = Buffer.alloc(4 + 2 + 2 + 4 + 2 + client.length + 4);
  let at = request.writeInt32BE(request.length - 4, 0);
  at = request.writeInt16BE(3, at);
  at = request.writeInt16BE(1, at);
  at = request.writeInt32BE(1, at);
  at = request.writeInt16BE(client.length, at);
  at += client.copy(request, at);
  request.writeInt32BE(0, at);
  return request;
}

/** Response: size, correlation id, array of brokers (id, host, port, nullable rack), then what is not needed here. */
function brokersOf(bytes) {
  const ids = [];
  let at = 8;
  const count = bytes.readInt32BE(at);
  at += 4;
  for (let i = 0; i < count; i++) {
    ids.push(bytes.readInt32BE(at));
    at += 4;
    at += 2 + bytes.readInt16BE(at) + 4;
    const rack = bytes.readInt16BE(at);
    at += 2 + Math.max(0, rack);
  }
  return ids;
}
