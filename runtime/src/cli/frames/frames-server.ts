// What a running query shows over HTTP: its health, its progress and its metrics.
import type { AddressInfo } from "node:net";
import type { StreamingQuery } from "../../drivers/microbatch/streaming-query.ts";
import type { FramesMetrics } from "./frames-metrics.ts";

export interface FramesServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function startFramesServer(
  query: StreamingQuery,
  metrics: FramesMetrics,
  listen: { readonly host: string; readonly port: number },
): Promise<FramesServer> {
  const [{ Hono }, { serve }] = await Promise.all([import("hono"), import("@hono/node-server")]);
  const app = new Hono();
  app.get("/healthz", (context) =>
    query.state === "running" || query.state === "stopping" ? context.text("ok\n") : context.text("not running\n", 503),
  );
  app.get("/metrics", async (context) => {
    const { contentType, text } = await metrics.render();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.get("/v1/query", (context) =>
    context.json({
      name: query.name,
      id: query.id,
      runId: query.runId,
      state: query.state,
      lastBatchId: query.lastBatchId,
      restoredFrom: query.restoredFrom ?? null,
      lastProgress: query.lastProgress ?? null,
    }),
  );
  app.get("/v1/progress", (context) => context.json({ progress: query.recentProgress }));
  app.notFound((context) => context.json({ code: "NOT_FOUND", message: `there is no ${context.req.path}` }, 404));
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: listen.host, port: listen.port }, (info: AddressInfo) => {
      resolve({
        url: `http://${info.address}:${info.port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            if ("closeAllConnections" in server) server.closeAllConnections();
          }),
      });
    });
    server.once("error", reject);
  });
}
