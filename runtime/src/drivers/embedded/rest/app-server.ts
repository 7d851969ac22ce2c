// The HTTP server of a process of an application: probes, and what it tells about itself.
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import { createHash, timingSafeEqual } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { Context, Hono } from "hono";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import { parseDuration } from "../../../base/duration.ts";
import type { AppSavepointMode } from "../control/control-state.ts";
import { type SavepointAnswer, SavepointRequests } from "../savepoint/savepoint-requests.ts";
import { type MetricsSource, type MetricsText, openAppMetrics } from "./app-metrics.ts";
import type { AppQueries } from "../queries/app-queries.ts";
import { queryRequest } from "./query-request.ts";
import type { AppView } from "./app-view.ts";
import { appOpenApi } from "./openapi.ts";

export interface AppServerOptions {
  readonly host: string;
  /** 0 for one that is free. */
  readonly port: number;
  /** Of a second listener, which answers queries of stores and nothing else; 0 for one that is free. */
  readonly queryPort?: number | undefined;
  /** Of `/v1`; without it everybody who reaches the port may ask. Asked at each request, so that a rotated one counts at once. */
  readonly token: (() => string) | undefined;
}

export interface AppServer {
  readonly url: string;
  /** Of the listener for queries alone, where there is one. */
  readonly queryUrl: string | undefined;
  close(): Promise<void>;
}

/** What the server shows. */
export interface AppControl {
  view(): AppView;
  readonly savepoints: Pick<SavepointRequests, "ask" | "byId" | "settled">;
  metrics(): Promise<MetricsText>;
  readonly queries: Pick<AppQueries, "stores" | "query">;
}

/** What an application gives its server. */
export function appControl(
  app: MetricsSource & Pick<AppControl, "queries"> & { savepoint(id: string, mode: AppSavepointMode): Promise<SavepointResult> },
  find: (id: string) => Promise<SavepointResult | undefined>,
): AppControl {
  let metrics: ReturnType<typeof openAppMetrics> | undefined;
  return {
    view: () => app.view(),
    queries: app.queries,
    savepoints: new SavepointRequests((id, mode) => app.savepoint(id, mode), find),
    metrics: async () => (await (metrics ??= openAppMetrics(app)))(),
  };
}

type Status = 400 | 401 | 404 | 409 | 500 | 503;
const statusOfCode: Readonly<Record<string, Status>> = {
  REQUEST_INVALID: 400,
  TOKEN_WRONG: 401,
  NOT_FOUND: 404,
  INTERNAL: 500,
  STORE_UNKNOWN: 404,
  STORE_NOT_READY: 503,
  QUERY_INVALID: 400,
};
const maxBodyBytes = 16_384;
const maxWaitMs = 300_000;
/** How long answers under way may take when the server closes. */
const lingerMs = 2000;

/** Rejects with REST_LISTEN when the port is taken. */
export async function startAppServer(control: AppControl, options: AppServerOptions): Promise<AppServer> {
  const { host, port, queryPort, token } = options;
  const main = await listen(addRoutes, control, { host, port, token }, "http.port");
  if (queryPort === undefined) return { ...main, queryUrl: undefined };
  try {
    const queries = await listen(addQueryRoutes, control, { host, port: queryPort, token }, "http.queryPort");
    return {
      url: main.url,
      queryUrl: queries.url,
      close: async () => void (await Promise.all([main.close(), queries.close()])),
    };
  } catch (error) {
    await main.close();
    throw error;
  }
}

async function listen(
  addTo: (app: Hono, control: AppControl) => void,
  control: AppControl,
  { host, port, token }: AppServerOptions,
  option: string,
): Promise<Omit<AppServer, "queryUrl">> {
  const [{ Hono: App }, { bodyLimit }, { serve }] = await Promise.all([
    import("hono"),
    import("hono/body-limit"),
    import("@hono/node-server"),
  ]);
  const app = new App();
  app.use("/v1/*", async (context, next) => {
    if (token !== undefined && !isSame(context.req.header("authorization") ?? "", `Bearer ${token()}`))
      throw new MillraceError(
        "TOKEN_WRONG",
        context.req.path,
        "the bearer token is missing or wrong",
        "send Authorization: Bearer <token>",
      );
    await next();
  });
  app.use("/v1/*", bodyLimit({ maxSize: maxBodyBytes }));
  addTo(app, control);
  app.notFound((context) => context.json({ code: "NOT_FOUND", message: `there is no ${context.req.path}` }, 404));
  app.onError(answerError);
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (address: AddressInfo) => {
      resolve({
        url: `http://${host}:${address.port}`,
        close: () =>
          new Promise<void>((closed) => {
            server.close(() => closed());
            // Whoever waits for the savepoint that the application ended with gets its answer.
            if ("closeIdleConnections" in server) server.closeIdleConnections();
            setTimeout(() => {
              if ("closeAllConnections" in server) server.closeAllConnections();
            }, lingerMs).unref();
          }),
      });
    });
    server.on("error", (cause: Error) =>
      reject(new MillraceError("REST_LISTEN", `${host}:${port}`, messageOf(cause), `choose another port in ${option}`, { cause })),
    );
  });
}

function addRoutes(app: Hono, control: AppControl): void {
  app.get("/healthz", (context) => {
    const { state } = control.view();
    return context.text(`${state}\n`, state === "error" || state === "closed" ? 503 : 200);
  });
  app.get("/readyz", (context) => {
    const { state, ready } = control.view();
    return context.text(`${state}\n`, ready ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const { contentType, text } = await control.metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  app.get("/v1/openapi.json", (context) => context.json(appOpenApi));
  app.get("/v1/app", (context) => context.json(control.view()));
  addQueryRoutes(app, control);
  const { savepoints } = control;
  app.post("/v1/savepoints", async (context) => {
    const { id, mode } = savepointRequest(await context.req.json().catch(() => undefined));
    return answerSavepoint(context, savepoints, await savepoints.ask(id, mode));
  });
  app.get("/v1/savepoints/:id", async (context) => {
    const id = context.req.param("id");
    const found = await savepoints.byId(id);
    if (found === undefined)
      throw new MillraceError("NOT_FOUND", `savepoint "${id}"`, "there is none with this id", "ask for one with POST /v1/savepoints");
    return answerSavepoint(context, savepoints, found);
  });
}

function addQueryRoutes(app: Hono, { queries }: AppControl): void {
  app.get("/v1/stores", (context) => context.json({ stores: queries.stores() }));
  app.post("/v1/stores/:uid/query", async (context) => {
    const request = queryRequest(context.req.param("uid"), await context.req.json().catch(() => undefined));
    return context.json(await queries.query(request));
  });
}

function savepointRequest(body: unknown): { readonly id: string; readonly mode: AppSavepointMode } {
  const { id, mode = "keep" } = (typeof body === "object" && body !== null ? body : {}) as {
    readonly id?: unknown;
    readonly mode?: unknown;
  };
  if (typeof id === "string" && /^[A-Za-z0-9][\w.-]{0,99}$/.test(id) && (mode === "keep" || mode === "stop")) return { id, mode };
  throw new MillraceError(
    "REQUEST_INVALID",
    "POST /v1/savepoints",
    "the body is not { id, mode }",
    "give an id of letters, digits, dots and dashes, and mode keep or stop",
  );
}

async function answerSavepoint(context: Context, savepoints: AppControl["savepoints"], first: SavepointAnswer): Promise<Response> {
  const wait = context.req.query("wait");
  let answer = first;
  if (wait !== undefined && first.phase === "running") {
    await savepoints.settled(first.id, Math.min(maxWaitMs, waitOf(wait)));
    answer = (await savepoints.byId(first.id)) ?? first;
  }
  if (answer.failure !== null) return context.json({ ...answer, ...answer.failure }, 409);
  return context.json(answer, answer.phase === "completed" ? 200 : 202);
}

function waitOf(text: string): number {
  try {
    return parseDuration(/^\d+$/.test(text) ? Number(text) : text, "wait");
  } catch (cause) {
    throw new MillraceError("REQUEST_INVALID", "query wait", messageOf(cause), "give a duration such as 30s", { cause });
  }
}

function answerError(error: unknown, context: Context): Response {
  const code = isMillraceError(error) ? error.code : "INTERNAL";
  return context.json({ code, message: messageOf(error) }, statusOfCode[code] ?? 409);
}

// Hashes are equally long, so that the time it takes tells nothing.
function isSame(given: string, wanted: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(wanted));
}
