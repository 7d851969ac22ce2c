// The HTTP of an application: every answer is what the OpenAPI document says, and probes follow the state.
import { Ajv } from "ajv";
import { afterEach, expect, test } from "vitest";
import type { EmbeddedState } from "../app-state.ts";
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
    tasks: [
      { id: "0_0", state: "running", lag: 3, restore: { records: 5, bytes: 70, remaining: 0 } },
      { id: "1_0", state: "opening", lag: Number.NaN, restore: { records: 1, bytes: 9, remaining: 44 } },
    ],
    standbys: { "1_3": 2 },
  });

async function open(token?: string): Promise<string> {
  const server = await startAppServer({ view }, { host: "127.0.0.1", port: 0, token: token === undefined ? undefined : () => token });
  servers.push(server);
  return server.url;
}

function check(path: string, status: number, body: unknown): void {
  const schema = paths[path]?.["get"]?.responses[String(status)]?.content?.["application/json"].schema;
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
