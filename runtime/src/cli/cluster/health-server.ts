// Health and process metrics of a TaskManager: what a pod's probes and Prometheus ask for.
import type { AddressInfo } from "node:net";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { RestServer } from "../rest/rest-server.ts";

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  readonly jobName: string;
  readonly ready: () => boolean;
}

export async function startHealthServer(options: HealthOptions): Promise<RestServer> {
  const [{ Hono }, { serve }, { Registry, collectDefaultMetrics }] = await Promise.all([
    import("hono"),
    import("@hono/node-server"),
    import("prom-client"),
  ]);
  const { host, port, ready, jobName } = options;
  const registry = new Registry();
  registry.setDefaultLabels({ job_name: jobName });
  collectDefaultMetrics({ register: registry });
  const app = new Hono();
  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => (ready() ? context.text("ok\n") : context.text("not registered\n", 503)));
  app.get("/metrics", async (context) => context.body(await registry.metrics(), 200, { "content-type": registry.contentType }));
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (address: AddressInfo) => {
      resolve({
        url: `http://${host}:${address.port}`,
        close: () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            if ("closeAllConnections" in server) server.closeAllConnections();
          }),
      });
    });
    server.on("error", (cause: Error) =>
      reject(new MillraceError("REST_LISTEN", `${host}:${port}`, messageOf(cause), "choose another port with --port", { cause })),
    );
  });
}
