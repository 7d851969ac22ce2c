// The REST API of a query: every answer is what its OpenAPI document says; savepoints and stops do what they are asked for.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { memorySink, memorySource } from "../../connectors/memory/index.ts";
import { int53 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { count } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { StreamingQuery } from "../../drivers/microbatch/streaming-query.ts";
import { checkedAgainst } from "../rest/document-check.suite.ts";
import { type RestServer, startRestServer } from "../rest/rest-server.ts";
import type { RunConfig } from "../run/run-config.ts";
import { FramesControl } from "./frames-control.ts";
import { framesOpenApiDocument } from "./frames-openapi.ts";
import { addFramesRoutes } from "./frames-routes.ts";

const Item = schema({ n: int53() });
const ask = checkedAgainst(framesOpenApiDocument);

let folder: string;
let server: RestServer;
let control: FramesControl;
let query: StreamingQuery | undefined;
const source = memorySource(Item, { bounded: false });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "frames-control-"));
  const config = { parallelism: 1, maxParallelism: 128, parameters: {} } as unknown as RunConfig;
  const metrics = (): Promise<{ contentType: string; text: string }> => Promise.resolve({ contentType: "text/plain", text: "" });
  control = new FramesControl({ name: "items", run: 3, config, metrics, executors: () => [] });
  const more = { routes: (app: Parameters<typeof addFramesRoutes>[0]) => addFramesRoutes(app, control), document: framesOpenApiDocument };
  server = await startRestServer(control, { host: "127.0.0.1", port: 0, token: undefined, more });
});

afterEach(async () => {
  await query?.stop().catch(() => {});
  query = undefined;
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<StreamingQuery> {
  const frame = new Session()
    .readStream(source, { name: "items" })
    .groupBy("n")
    .agg(() => ({ times: count() }));
  query = await StreamingQuery.start(frame.writeStream(memorySink(), { name: "items", mode: "update" }), {
    checkpointLocation: pathToFileURL(folder).href,
    run: 3,
  });
  control.use(query);
  return query;
}

test("before and after the query runs, every answer is what the document says", async () => {
  const { url } = server;
  const get = async (path: string): Promise<unknown> => (await ask(url, "GET", path, path)).body;
  expect(await get("/v1/job")).toMatchObject({ state: "restoring", run: 3, lastCheckpoint: null });
  expect(await get("/v1/query")).toMatchObject({ state: "restoring", lastBatchId: -1 });
  expect(await ask(url, "POST", "/v1/stop", "/v1/stop")).toMatchObject({ status: 409, body: { code: "JOB_NOT_RUNNING" } });
  const running = await start();
  source.push({ n: 1 });
  await running.processAllAvailable();
  expect(await get("/v1/job")).toMatchObject({ state: "running", lastCheckpoint: { id: 1 } });
  expect(await get("/v1/query")).toMatchObject({ lastBatchId: 0, lastProgress: { numInputRows: 1 } });
  expect(await get("/v1/progress")).toMatchObject({ progress: [{ batchId: 0 }] });
  for (const path of ["/v1/checkpoints", "/v1/exceptions", "/v1/config", "/v1/openapi.json"]) await get(path);
});

test("a savepoint is taken once per id, and asked for under its id", async () => {
  const running = await start();
  source.push({ n: 1 });
  await running.processAllAvailable();
  const { url } = server;
  const template = "/v1/savepoints/{id}";
  const first = await ask(url, "POST", "/v1/savepoints?wait=30s", "/v1/savepoints", { id: "a" });
  expect(first).toMatchObject({ status: 200, body: { phase: "completed", checkpointId: 1 } });
  expect(await ask(url, "GET", "/v1/savepoints/a", template)).toEqual(first);
  expect(await ask(url, "POST", "/v1/savepoints?wait=30s", "/v1/savepoints", { id: "a" })).toEqual(first);
  expect((await ask(url, "GET", "/v1/savepoints/b", template)).status).toBe(404);
  expect(await ask(url, "POST", "/v1/savepoints", "/v1/savepoints", { id: "b", mode: "drain" })).toMatchObject({ status: 400 });
  // What an earlier driver took is known by its id.
  control = new FramesControl({
    ...{ name: "items", run: 3, executors: () => [] },
    config: {} as RunConfig,
    metrics: () => Promise.reject(),
  });
  control.use(running);
  expect(await control.savepointById("a")).toMatchObject({ phase: "completed", checkpointId: 1 });
});

test("a savepoint with stop ends the query there", async () => {
  const running = await start();
  await ask(server.url, "POST", "/v1/savepoints?wait=30s", "/v1/savepoints", { id: "last", mode: "stop" });
  expect(await running.done).toBe("stopped");
  expect((await ask(server.url, "GET", "/v1/job", "/v1/job")).body).toMatchObject({ state: "stopped" });
});

test("stop takes its mode, and no other words", async () => {
  const running = await start();
  expect((await ask(server.url, "POST", "/v1/stop", "/v1/stop", { mode: "now" })).status).toBe(400);
  expect(running.state).toBe("running");
  expect((await ask(server.url, "POST", "/v1/stop", "/v1/stop", { mode: "immediate" })).status).toBe(202);
  expect(await running.done).toBe("stopped");
});
