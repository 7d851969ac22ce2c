// The OpenAPI document of an application's HTTP, served at /v1/openapi.json; a test holds the server's answers against it.

type Schema = Readonly<Record<string, unknown>>;

const string: Schema = { type: "string" };
const integer: Schema = { type: "integer" };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const json = (description: string, name: string): Schema => ({
  description,
  content: { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } },
});
const text = (description: string): Schema => ({ description });
const refused = { "401": json("The token is missing or wrong.", "Error") };

const task = object({
  id: string,
  state: { enum: ["opening", "running", "closing"] },
  lag: orNull(integer),
  restoredRecords: integer,
  restoredBytes: integer,
  remainingRecords: integer,
});

const savepoint = object({
  id: string,
  mode: orNull({ enum: ["keep", "stop"] }),
  phase: { enum: ["running", "completed", "failed"] },
  location: orNull(string),
  sizeBytes: orNull(integer),
  checkpointId: orNull(integer),
  formatVersion: orNull(integer),
  cutAtMs: orNull(integer),
  completedAtMs: orNull(integer),
  failure: orNull(object({ code: string, message: string })),
});

const savepointAnswers = {
  "200": json("It is complete.", "Savepoint"),
  "202": json("It is under way: ask again by its id.", "Savepoint"),
  "400": json("The request is not understood.", "Error"),
  "409": { description: "It failed.", content: { "application/json": { schema: { type: "object", required: ["code", "message"] } } } },
  ...refused,
};
const wait = { name: "wait", in: "query", required: false, description: "How long to wait for it, such as 30s.", schema: string };

const list = (items: Schema): Schema => ({ type: "array", items });
const positions: Schema = { type: "object", additionalProperties: integer };
const stores = object({
  stores: list(object({ uid: string, table: string, form: { enum: ["table", "multi"] }, key: list(string), value: list(string) })),
});
const query: Schema = {
  type: "object",
  properties: {
    kind: { enum: ["get", "windows", "range", "prefix", "all"] },
    table: string,
    limit: integer,
    key: {},
    window: integer,
    from: {},
    to: {},
    prefix: string,
  },
  required: ["kind"],
  additionalProperties: false,
};
const queryRequest: Schema = {
  type: "object",
  properties: { query, after: positions, stale: { type: "boolean" }, tasks: list(string) },
  required: ["query"],
  additionalProperties: false,
};
const row: Schema = {
  type: "object",
  properties: { key: {}, window: integer, subKey: {}, value: {} },
  required: ["key", "window", "value"],
  additionalProperties: false,
};
const queryAnswer: Schema = {
  type: "object",
  properties: { rows: list(row), complete: { type: "boolean" }, positions, lags: positions },
  required: ["rows", "complete", "positions"],
  additionalProperties: false,
};

const app = object({
  applicationId: string,
  processId: string,
  instanceId: orNull(string),
  state: { enum: ["created", "rebalancing", "restoring", "running", "error", "closed"] },
  ready: { type: "boolean" },
  fingerprint: orNull(string),
  totalTasks: integer,
  generation: integer,
  tasks: { type: "array", items: task },
  restoringTasks: integer,
  lag: orNull(integer),
  standbys: { type: "object", additionalProperties: integer },
});

export const appOpenApi: Readonly<Record<string, unknown>> = {
  openapi: "3.1.0",
  info: { title: "Millrace embedded application", version: "1", description: "What one process of an application tells." },
  security: [{ token: [] }],
  paths: {
    "/healthz": {
      get: { summary: "The process does its work.", responses: { "200": text("It does."), "503": text("It has failed or is closed.") } },
    },
    "/readyz": {
      get: {
        summary: "All of its tasks run and have their state.",
        responses: { "200": text("They do."), "503": text("It rebalances, restores, or has failed.") },
      },
    },
    "/metrics": { get: { summary: "Prometheus metrics.", responses: { "200": text("In the text format.") } } },
    "/v1/openapi.json": { get: { summary: "This document.", responses: { "200": text("OpenAPI 3.1."), ...refused } } },
    "/v1/app": {
      get: { summary: "State, tasks, restores and lag of this process.", responses: { "200": json("The process.", "App"), ...refused } },
    },
    "/v1/stores": {
      get: { summary: "The stores of the tasks that are in this process.", responses: { "200": json("They are.", "Stores"), ...refused } },
    },
    "/v1/stores/{uid}/query": {
      post: {
        summary: "What a store holds, in whichever process.",
        parameters: [{ name: "uid", in: "path", required: true, description: "Of the operator.", schema: string }],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/QueryRequest" } } } },
        responses: {
          "200": json("Rows in no particular order.", "QueryAnswer"),
          "400": json("The query is not understood.", "Error"),
          "404": json("There is no such store.", "Error"),
          "409": json("A task has not come so far yet: ask again.", "Error"),
          "503": json("A task is on its way from one process to another: ask again.", "Error"),
          ...refused,
        },
      },
    },
    "/v1/savepoints": {
      post: {
        summary: "Takes a savepoint of the whole application; the same id again asks what became of it.",
        parameters: [wait],
        requestBody: {
          content: {
            "application/json": {
              schema: { type: "object", properties: { id: string, mode: { enum: ["keep", "stop"] } }, required: ["id"] },
            },
          },
        },
        responses: savepointAnswers,
      },
    },
    "/v1/savepoints/{id}": {
      get: {
        summary: "What became of a savepoint.",
        parameters: [{ name: "id", in: "path", required: true, description: "Its id.", schema: string }, wait],
        responses: { ...savepointAnswers, "404": json("There is none with this id.", "Error") },
      },
    },
  },
  components: {
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
    schemas: {
      Error: { type: "object", properties: { code: string, message: string }, required: ["code", "message"] },
      App: app,
      Savepoint: savepoint,
      Stores: stores,
      QueryRequest: queryRequest,
      QueryAnswer: queryAnswer,
    },
  },
};
