// The HTTP of an application: every answer is what the OpenAPI document says, and probes follow the state.
import { Ajv } from "ajv";
import { afterEach, expect, test } from "vitest";
import { MillraceError } from "../../../base/errors.ts";
import { SavepointRequests } from "../savepoint/savepoint-requests.ts";
import type { EmbeddedState } from "../app-state.ts";
import { openAppMetrics } from "./app-metrics.ts";
import { type AppServer, startAppServer } from "./app-server.ts";
import { viewOf } from "./app-view.ts";
import { appOpenApi } from "./openapi.ts";

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: { readonly "application/json": { readonly schema: object } } }>>;
}
const paths = appOpenApi["paths"] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
const ajv = new Ajv({ strict: false });
ajv.addSchema({ $id: "doc", components: appOpenApi["components"] });

const servers: AppServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

let state: EmbeddedState = "running";
const view = () =>
  viewOf({
    applicationId: "counts",
    processId: "pod-0",
    instanceId: null,
    state,
    fingerprint: "f",
    totalTasks: 12,
    generation: 0,
    tasks: [
      { id: "0_0", state: "running", lag: 3, restore: { records: 5, bytes: 70, remaining: 0 } },
      { id: "1_0", state: "opening", lag: Number.NaN, restore: { records: 1, bytes: 9, remaining: 44 } },
    ],
    standbys: { "1_3": 2 },
  });

const figures = () => ({
  tasks: ["0_0", "0_1"].map((taskId, partition) => ({
    taskId,
    partition,
    instances: [{ uid: "count", rowsIn: 10 + partition, rowsOut: 4, watermarkMs: partition === 0 ? 5000 : null, counts: { late: 2 } }],
    badRecords: 1,
    state: { memoryBytes: 100, diskBytes: 0, entries: 7 },
    commits: 3,
    commitMs: 12,
  })),
  counts: { rebalances: 5, taskFailures: 1 },
});
const times = { formatVersion: 1, cutAtMs: 5, completedAtMs: 6 };
const queries: Parameters<typeof startAppServer>[0]["queries"] = {
  stores: () => [{ uid: "count", table: "groups", form: "table", key: ["word"], value: ["times"] }],
  query: async ({ uid, query, after }) => {
    if (uid === "moving") throw new MillraceError("STORE_NOT_READY", "store", "a task moves", "again");
    if (uid !== "count") throw new MillraceError("STORE_UNKNOWN", "store", "there is none", "look");
    return { rows: [{ key: { word: query.kind }, window: 0, value: { times: 3 } }], complete: true, positions: after ?? { "in-0": 7 } };
  },
};
/** Takes what is asked for at once, except "never". */
const savepoints = new SavepointRequests(
  async (id) => {
    if (id === "bad") throw new MillraceError("SAVEPOINT_FAILED", "savepoint", "a task moved", "again");
    if (id === "never") await new Promise(() => undefined);
    return { id, url: `file:///s/${id}`, checkpointId: 3, totalBytes: 9, ...times };
  },
  async (id) => (id === "old" ? { id, url: "file:///s/old", checkpointId: 1, totalBytes: 4, ...times } : undefined),
);

async function open(token?: string): Promise<string> {
  const server = await startAppServer(
    { view, savepoints, metrics: await openAppMetrics({ view, figures }), queries },
    { host: "127.0.0.1", port: 0, token: token === undefined ? undefined : () => token },
  );
  servers.push(server);
  return server.url;
}

function check(path: string, status: number, body: unknown, method = "get"): void {
  const schema = paths[path]?.[method]?.responses[String(status)]?.content?.["application/json"].schema;
  expect(schema, `${path} says what ${status} holds`).toBeDefined();
  const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll("#/components", "doc#/components")) as object);
  expect(validate(body), ajv.errorsText(validate.errors)).toBe(true);
}

test("the view is what the document says, with what is not known as null", async () => {
  const answer = await fetch(`${await open()}/v1/app`);
  const body = (await answer.json()) as Readonly<Record<string, unknown>>;
  check("/v1/app", 200, body);
  expect(body).toMatchObject({ ready: true, restoringTasks: 1, lag: null, totalTasks: 12, standbys: { "1_3": 2 } });
});

test("readiness is the running state, health everything that is not over", async () => {
  const url = await open();
  const statuses: Record<string, readonly number[]> = {};
  for (const now of ["rebalancing", "restoring", "running", "error"] as const) {
    state = now;
    statuses[now] = [(await fetch(`${url}/healthz`)).status, (await fetch(`${url}/readyz`)).status];
  }
  state = "running";
  expect(statuses).toEqual({ rebalancing: [200, 503], restoring: [200, 503], running: [200, 200], error: [503, 503] });
});

test("with a token nobody without it gets an answer, except probes", async () => {
  const url = await open("secret");
  const without = await fetch(`${url}/v1/app`);
  expect(without.status).toBe(401);
  check("/v1/app", 401, await without.json());
  expect((await fetch(`${url}/v1/app`, { headers: { authorization: "Bearer secret" } })).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

test("savepoints are asked for by id and answered as the document says", async () => {
  const url = `${await open()}/v1/savepoints`;
  const post = async (body: unknown, query = ""): Promise<readonly [status: number, phase: unknown]> => {
    const answer = await fetch(`${url}${query}`, { method: "POST", body: JSON.stringify(body) });
    const read = (await answer.json()) as Readonly<Record<string, unknown>>;
    check("/v1/savepoints", answer.status, read, "post");
    return [answer.status, read["phase"] ?? read["code"]];
  };
  expect(await post({ id: "never", mode: "stop" })).toEqual([202, "running"]);
  expect(await post({ id: "a" }, "?wait=10s")).toEqual([200, "completed"]);
  expect(await post({ id: "old" })).toEqual([200, "completed"]);
  expect(await post({ id: "bad" }, "?wait=10s")).toEqual([409, "failed"]);
  expect(await post({ id: "a/b" })).toEqual([400, "REQUEST_INVALID"]);
  expect(await post({ id: "a", mode: "drain" })).toEqual([400, "REQUEST_INVALID"]);
  expect(await post({ id: "a" }, "?wait=soon")).toEqual([200, "completed"]);
  expect(await post({ id: "never" }, "?wait=soon")).toEqual([400, "REQUEST_INVALID"]);
  const found = await fetch(`${url}/a`);
  check("/v1/savepoints/{id}", 200, await found.json());
  const missing = await fetch(`${url}/nobody`);
  check("/v1/savepoints/{id}", 404, await missing.json());
  expect([found.status, missing.status]).toEqual([200, 404]);
});

test("the port for queries answers them with the same token, and nothing else", async () => {
  const control = { view, savepoints, metrics: await openAppMetrics({ view, figures }), queries };
  const server = await startAppServer(control, { host: "127.0.0.1", port: 0, queryPort: 0, token: () => "secret" });
  servers.push(server);
  const { url, queryUrl } = server;
  const headers = { authorization: "Bearer secret" };
  const ask = async (at: string | undefined, path: string, more: object = { headers }): Promise<number> =>
    (await fetch(`${at}${path}`, more)).status;
  const query = { method: "POST", body: JSON.stringify({ query: { kind: "get", key: "be" } }) };
  const path = "/v1/stores/count/query";
  expect(queryUrl).not.toBe(url);
  expect(await ask(queryUrl, path, { ...query, headers })).toBe(200);
  expect(await ask(queryUrl, path, query)).toBe(401);
  expect(await ask(url, path, { ...query, headers })).toBe(200);
  for (const other of ["/v1/app", "/v1/savepoints/a", "/metrics", "/readyz"]) expect(await ask(queryUrl, other), other).toBe(404);
  const taken = { host: "127.0.0.1", port: 0, queryPort: Number(new URL(url).port), token: undefined };
  await expect(startAppServer(control, taken)).rejects.toMatchObject({ code: "REST_LISTEN" });
});

test("metrics tell what the tasks tell, the same again at the next scrape", async () => {
  const url = await open();
  const scrape = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith("millrace_"));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")).replace(/,?application_id="counts"/, ""), Number(line.split(" ").at(-1))]),
    );
  };
  const first = await scrape();
  expect(first.get('millrace_rows_in_total{uid="count",subtask="1"}')).toBe(11);
  expect(first.get('millrace_watermark_seconds{uid="count",subtask="0"}')).toBe(5);
  expect(first.has('millrace_watermark_seconds{uid="count",subtask="1"}')).toBe(false);
  expect(first.get("millrace_state_entries{}")).toBe(14);
  expect(first.get('millrace_embedded_state{state="running"}')).toBe(1);
  expect(first.get('millrace_embedded_tasks{state="opening"}')).toBe(1);
  expect(first.get('millrace_embedded_lag_records{task="0_0"}')).toBe(3);
  expect(first.get("millrace_embedded_rebalances_total{}")).toBe(5);
  expect(await scrape()).toEqual(first);
});

test("queries are answered as the document says, and refused with what is wrong", async () => {
  const url = `${await open()}/v1/stores`;
  const stores = await fetch(url);
  check("/v1/stores", 200, await stores.json());
  const ask = async (uid: string, body: unknown): Promise<readonly [status: number, code: unknown]> => {
    const answer = await fetch(`${url}/${uid}/query`, { method: "POST", body: JSON.stringify(body) });
    const read = (await answer.json()) as Readonly<Record<string, unknown>>;
    check("/v1/stores/{uid}/query", answer.status, read, "post");
    return [answer.status, read["code"]];
  };
  expect(await ask("count", { query: { kind: "get", key: "be" } })).toEqual([200, undefined]);
  expect(await ask("count", { query: { kind: "windows", key: { word: "be" }, from: 0, to: 5 }, after: { "in-0": 3 } })).toEqual([
    200,
    undefined,
  ]);
  expect(await ask("other", { query: { kind: "all" } })).toEqual([404, "STORE_UNKNOWN"]);
  expect(await ask("moving", { query: { kind: "all" } })).toEqual([503, "STORE_NOT_READY"]);
  for (const body of [
    undefined,
    { query: { kind: "some" } },
    { query: { kind: "get" } },
    { query: { kind: "prefix", prefix: 3 } },
    { query: { kind: "all", key: "be" } },
    { query: { kind: "all" }, more: 1 },
    { query: { kind: "all" }, after: { "in-0": "3" } },
    { query: { kind: "all" }, tasks: [3] },
  ])
    expect(await ask("count", body)).toEqual([400, "QUERY_INVALID"]);
});
