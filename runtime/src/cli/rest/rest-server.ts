// The REST API and metrics of a job: one server for a single process and for JobManagers.
import type { AddressInfo } from "node:net";
import type { Context, Hono } from "hono";
import { MillraceError, isMillraceError, messageOf } from "../../base/errors.ts";
import { isAuthorized } from "./auth.ts";
import type { JobControl, SavepointAnswer } from "./job-control.ts";
import { openApiDocument } from "./openapi.ts";
import { type CpuProfile, speedscopeOf } from "./speedscope.ts";
import { profileDuration, rescaleRequest, savepointRequest, slotOf, waitOf } from "./requests.ts";

export interface RestServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface RestOptions {
  readonly host: string;
  readonly port: number;
  /** Of `/v1`; without it everybody who reaches the port may ask. */
  readonly token: (() => string) | undefined;
  /** What this process answers beside what every job does, and the document that says so. */
  readonly more?: { readonly routes: (app: Hono) => void; readonly document: object };
}

const maxBodyBytes = 16_384;
/** How long answers under way may take when the server closes, ms. */
const lingerMs = 2000;

const statusOfCode: Readonly<Record<string, 400 | 401 | 404 | 500 | 503>> = {
  REQUEST_INVALID: 400,
  OPTION_INVALID: 400,
  TOKEN_WRONG: 401,
  NOT_FOUND: 404,
  INTERNAL: 500,
  TOKEN_FILE: 500,
};

/** Rejects with REST_LISTEN when the port is taken. */
export async function startRestServer(control: JobControl, options: RestOptions): Promise<RestServer> {
  const [{ Hono: App }, { bodyLimit }, { serve }] = await Promise.all([
    import("hono"),
    import("hono/body-limit"),
    import("@hono/node-server"),
  ]);
  const app = new App();
  app.use("/v1/*", async (context, next) => {
    if (options.token !== undefined && !isAuthorized(context.req.header("authorization"), options.token())) {
      throw new MillraceError(
        "TOKEN_WRONG",
        context.req.path,
        "the bearer token is missing or wrong",
        "send Authorization: Bearer <token>",
      );
    }
    await next();
  });
  app.use("/v1/*", bodyLimit({ maxSize: maxBodyBytes }));
  addRoutes(app, control, options.more?.document ?? openApiDocument);
  options.more?.routes(app);
  app.notFound((context) => context.json({ code: "NOT_FOUND", message: `there is no ${context.req.path}` }, 404));
  app.onError((error, context) => answerError(error, context, control));
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (address: AddressInfo) => {
      resolve({
        url: `http://${host}:${address.port}`,
        close: () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            // Whoever waits for the savepoint that the job ended with gets its answer.
            if ("closeIdleConnections" in server) server.closeIdleConnections();
            setTimeout(() => {
              if ("closeAllConnections" in server) server.closeAllConnections();
            }, lingerMs).unref();
          }),
      });
    });
    server.on("error", (cause: Error) => {
      reject(new MillraceError("REST_LISTEN", `${host}:${port}`, messageOf(cause), "choose another port with --port", { cause }));
    });
  });
}

function addRoutes(app: Hono, control: JobControl, document: object): void {
  app.get("/healthz", (context) => (control.healthy() ? context.text("ok\n") : context.text("not running\n", 503)));
  app.get("/readyz", (context) => (control.ready() ? context.text("ok\n") : context.text("not ready\n", 503)));
  app.get("/metrics", async (context) => {
    const { contentType, text } = await control.metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.get("/v1/openapi.json", (context) => context.json(document));
  app.get("/v1/job", (context) => context.json(control.job()));
  app.patch("/v1/job", async (context) => {
    const change = rescaleRequest(await bodyOf(context));
    return context.json(await control.rescale(change));
  });
  app.post("/v1/start", async (context) => {
    if (control.start === undefined) throw new MillraceError("NOT_FOUND", context.req.path, "this process never stands by", "see /v1/job");
    control.start(await bodyOf(context));
    return context.json({ started: true });
  });
  app.post("/v1/job/stop", (context) => {
    control.stop();
    return context.json({ stopping: true }, 202);
  });
  app.get("/v1/checkpoints", (context) => context.json({ checkpoints: control.checkpoints() }));
  app.get("/v1/exceptions", (context) => context.json(control.exceptions()));
  app.get("/v1/config", (context) => context.json(control.config()));
  app.get("/v1/savepoints", async (context) => context.json({ savepoints: await control.savepoints() }));
  app.post("/v1/savepoints", async (context) => {
    const { id, mode } = savepointRequest(await bodyOf(context));
    const waitMs = waitOf(context.req.query("wait"));
    return answerSavepoint(context, await waitFor(control, await control.savepoint(id, mode), waitMs));
  });
  app.get("/v1/savepoints/:id", async (context) => {
    const found = await control.savepointById(context.req.param("id"));
    if (found === undefined) {
      throw new MillraceError(
        "NOT_FOUND",
        `savepoint "${context.req.param("id")}"`,
        "there is none with this id",
        "ask for one with POST /v1/savepoints",
      );
    }
    return answerSavepoint(context, await waitFor(control, found, waitOf(context.req.query("wait"))));
  });
  app.get("/v1/slots/:slot/flamegraph", async (context) => {
    const slot = context.req.param("slot");
    const profile = (await control.profile(slotOf(slot), profileDuration(context.req.query("duration")))) as CpuProfile;
    return context.body(JSON.stringify(speedscopeOf(profile, `slot ${slot}`)), 200, {
      "content-type": "application/json",
      "content-disposition": `attachment; filename="slot-${slot}.speedscope.json"`,
    });
  });
  app.get("/v1/slots/:slot/profile", async (context) => {
    const profile = await control.profile(slotOf(context.req.param("slot")), profileDuration(context.req.query("duration")));
    return context.body(JSON.stringify(profile), 200, {
      "content-type": "application/json",
      "content-disposition": `attachment; filename="slot-${context.req.param("slot")}.cpuprofile"`,
    });
  });
}

function bodyOf(context: Context): Promise<unknown> {
  return context.req.json().catch(() => undefined) as Promise<unknown>;
}

async function waitFor(control: JobControl, first: SavepointAnswer, waitMs: number): Promise<SavepointAnswer> {
  if (first.phase !== "running" || waitMs === 0) return first;
  await control.savepointSettled(first.id, waitMs);
  return (await control.savepointById(first.id)) ?? first;
}

function answerSavepoint(context: Context, answer: SavepointAnswer): Response {
  if (answer.phase === "failed" && answer.failure !== null) return context.json({ ...answer, ...answer.failure }, 409);
  return context.json(answer, answer.phase === "completed" ? 200 : 202);
}

function answerError(error: unknown, context: Context, control: JobControl): Response {
  const code = isMillraceError(error) ? error.code : "INTERNAL";
  const body = { code, message: messageOf(error) };
  if (code !== "NOT_LEADER") return context.json(body, statusOfCode[code] ?? 409);
  const leader = control.leader();
  // 421: ask the one that this request should have gone to.
  return leader === undefined
    ? context.json(body, 503, { "retry-after": "1" })
    : context.json({ ...body, leader }, 421, { location: `${leader}${context.req.path}` });
}
