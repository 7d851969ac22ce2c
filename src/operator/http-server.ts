// Health, readiness and metrics of the operator over HTTP.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Probes {
  /** False: the process should be started again. */
  readonly alive: () => boolean;
  readonly ready: () => boolean;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

export function startHttpServer(probes: Probes, listen: { readonly host: string; readonly port: number }): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, contentType = "text/plain; charset=utf-8"): void => {
      response.writeHead(status, { "content-type": contentType, "x-content-type-options": "nosniff" }).end(text);
    };
    const path = (request.url ?? "/").split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405, "only GET\n");
    switch (path) {
      case "/healthz":
        return probes.alive() ? answer(200, "ok\n") : answer(503, "stalled\n");
      case "/readyz":
        return probes.ready() ? answer(200, "ok\n") : answer(503, "not everything is read yet\n");
      case "/metrics":
        probes.metrics().then(
          ({ contentType, text }) => answer(200, text, contentType),
          (error: unknown) => answer(500, `${String(error)}\n`),
        );
        return undefined;
      default:
        return answer(404, "there are /healthz, /readyz and /metrics\n");
    }
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 100;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen.port, listen.host, () => {
      resolve({ port: (server.address() as AddressInfo).port, close: () => closed(server) });
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
