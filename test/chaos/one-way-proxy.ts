// A TCP proxy that can drop one direction: what a half-broken network does. Nothing is closed; bytes just do not arrive.
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface OneWayProxy {
  readonly port: number;
  /** Bytes of the dialling side (`up`) or of the other one (`down`) are swallowed from now on; undefined: everything passes. */
  drop: "up" | "down" | undefined;
  close(): void;
}

/** `target` is looked up at each connection. */
export function startOneWayProxy(
  target: () => Promise<{ readonly host: string; readonly port: number } | undefined>,
): Promise<OneWayProxy> {
  const sockets = new Set<Socket>();
  const proxy: { port: number; drop: "up" | "down" | undefined; close(): void } = {
    port: 0,
    drop: undefined,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  const server = createServer((near) => {
    sockets.add(near);
    near.on("error", () => near.destroy()).on("close", () => sockets.delete(near));
    target().then(
      (address) => {
        if (address === undefined) return void near.destroy();
        const far = connect(address.port, address.host);
        sockets.add(far);
        far
          .on("error", () => near.destroy())
          .on("close", () => {
            sockets.delete(far);
            near.destroy();
          });
        near.on("close", () => far.destroy());
        near.on("data", (bytes) => void (proxy.drop !== "up" && far.write(bytes)));
        far.on("data", (bytes) => void (proxy.drop !== "down" && near.write(bytes)));
      },
      () => near.destroy(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      proxy.port = (server.address() as AddressInfo).port;
      resolve(proxy);
    });
  });
}
