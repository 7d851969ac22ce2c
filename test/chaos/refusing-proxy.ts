// A TCP proxy that refuses for a while: what a server that is away does. Connections break, new ones are not taken.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface RefusingProxy {
  readonly port: number;
  /** Connections that were broken, or not taken. */
  readonly refusals: number;
  /** While true nothing passes. */
  refuse(refuses: boolean): void;
  close(): void;
}

export async function startRefusingProxy(host: string, port: number): Promise<RefusingProxy> {
  const sockets = new Set<Socket>();
  let refuses = false;
  let refusals = 0;
  const server = createServer((near) => {
    if (refuses) {
      refusals++;
      return void near.destroy();
    }
    const far = connect(port, host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one
        .on("error", () => other.destroy())
        .on("close", () => {
          sockets.delete(one);
          other.destroy();
        })
        .pipe(other);
    }
    return undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    get refusals() {
      return refusals;
    },
    refuse(now) {
      refuses = now;
      if (!now) return;
      // Two sockets are a connection.
      refusals += sockets.size / 2;
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
