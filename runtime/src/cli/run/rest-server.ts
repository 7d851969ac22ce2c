// The REST API and metrics of a running job.
import type { AddressInfo } from "node:net";
import { MillraceError, isMillraceError, messageOf } from "../../base/errors.ts";
import type { CheckpointRecord } from "../../drivers/continuous/checkpointer.ts";
import type { SavepointMode } from "../../drivers/continuous/job-run.ts";

/** What the server shows and triggers: implemented by the supervisor. */
export interface JobControl {
  job(): object;
  checkpoints(): readonly CheckpointRecord[];
  healthy(): boolean;
  savepoint(id: string, mode: SavepointMode): Promise<CheckpointRecord>;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface RestServer {
  readonly url: string;
  close(): Promise<void>;
}

const modes: ReadonlySet<string> = new Set(["keep", "stop", "drain"]);
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const maxBodyBytes = 16_384;

export async function startRestServer(control: JobControl, listen: { readonly host: string; readonly port: number }): Promise<RestServer> {
  const [{ Hono }, { bodyLimit }, { serve }] = await Promise.all([import("hono"), import("hono/body-limit"), import("@hono/node-server")]);
  const app = new Hono();
  app.get("/healthz", (context) => (control.healthy() ? context.text("ok\n") : context.text("not running\n", 503)));
  app.get("/metrics", async (context) => {
    const { contentType, text } = await control.metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.get("/v1/job", (context) => context.json(control.job()));
  app.get("/v1/checkpoints", (context) => context.json({ checkpoints: control.checkpoints() }));
  app.post("/v1/savepoints", bodyLimit({ maxSize: maxBodyBytes }), async (context) => {
    const body: unknown = await context.req.json().catch(() => undefined);
    const { id, mode = "keep" } = (typeof body === "object" && body !== null ? body : {}) as {
      readonly id?: unknown;
      readonly mode?: unknown;
    };
    if (typeof id !== "string" || !idPattern.test(id) || typeof mode !== "string" || !modes.has(mode)) {
      throw new MillraceError(
        "REQUEST_INVALID",
        "POST /v1/savepoints",
        "the body is not { id, mode }",
        "give an id of letters, digits, dots and dashes, and mode keep, stop or drain",
      );
    }
    return context.json(await control.savepoint(id, mode as SavepointMode));
  });
  app.notFound((context) => context.json({ code: "NOT_FOUND", message: `there is no ${context.req.path}` }, 404));
  app.onError((error, context) => {
    const code = isMillraceError(error) ? error.code : "INTERNAL";
    const status = code === "REQUEST_INVALID" ? 400 : code === "INTERNAL" ? 500 : 409;
    return context.json({ code, message: messageOf(error) }, status);
  });
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: listen.host, port: listen.port }, (address: AddressInfo) => {
      resolve({
        url: `http://${listen.host}:${address.port}`,
        close: () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            if ("closeAllConnections" in server) server.closeAllConnections();
          }),
      });
    });
    server.on("error", (cause: Error) => {
      reject(
        new MillraceError("REST_LISTEN", `${listen.host}:${listen.port}`, messageOf(cause), "choose another port with --port", { cause }),
      );
    });
  });
}
