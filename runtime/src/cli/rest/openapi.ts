// The OpenAPI document of the REST API, served at /v1/openapi.json; a test holds the server's answers against it.

export type Schema = Readonly<Record<string, unknown>>;

export const string: Schema = { type: "string" };
export const number: Schema = { type: "number" };
export const integer: Schema = { type: "integer" };
const boolean: Schema = { type: "boolean" };
export const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });
export const list = (items: Schema): Schema => ({ type: "array", items });
export const map = (values: Schema): Schema => ({ type: "object", additionalProperties: values });
export const object = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
export const json = (schema: Schema): Schema => ({ content: { "application/json": { schema } } });
export const answer = (description: string, schema: Schema): Schema => ({ description, ...json(schema) });
export const failure = (description: string): Schema => answer(description, ref("Error"));
const parameter = (name: string, where: "path" | "query", description: string): Schema => ({
  name,
  in: where,
  required: where === "path",
  description,
  schema: string,
});

const states = ["created", "standby", "restoring", "running", "stopping", "restarting", "finished", "stopped", "failed"];

const subtask = object({
  subtask: integer,
  rowsIn: integer,
  rowsOut: integer,
  watermarkMs: orNull(number),
  counts: map(number),
  gauges: map(number),
});

const checkpoint = object(
  {
    id: integer,
    phase: { enum: ["writing", "committing", "completed", "failed"] },
    triggeredAtMs: number,
    savepointId: string,
    cutMs: number,
    durationMs: number,
    location: string,
    writtenBytes: integer,
    totalBytes: integer,
    failures: list(string),
    alignmentMs: number,
    uploadMs: number,
    inFlightBytes: integer,
    unaligned: boolean,
  },
  ["savepointId", "durationMs", "location", "alignmentMs", "uploadMs", "inFlightBytes", "unaligned"],
);

const processing = object({
  operators: list(object({ uid: string, kind: string, inputs: list(string), stateful: boolean, subtasks: list(subtask) })),
  lag: map(orNull(number)),
  state: object({ memoryBytes: number, diskBytes: number, entries: number }),
  badRecords: integer,
  times: object({ busyMs: number, backpressuredMs: number, idleMs: number }),
  lastCheckpoint: orNull(ref("Checkpoint")),
});

const slice = object({
  slot: integer,
  taskManagerId: string,
  state: string,
  busy: number,
  backpressured: number,
  idle: number,
  queuedBytesIn: integer,
  queuedBytesOut: integer,
});

const job = object(
  {
    name: string,
    run: integer,
    leader: boolean,
    state: { enum: states },
    startedAtMs: number,
    runningSinceMs: orNull(number),
    parallelism: integer,
    maxParallelism: integer,
    restarts: integer,
    restoredFrom: orNull(string),
    lastFailure: orNull(string),
    waitingFor: orNull(string),
    prepared: boolean,
    lastCheckpoint: orNull(object({ id: integer, location: string, completedAtMs: number })),
    processing: orNull(processing),
    epoch: integer,
    slots: object({ present: integer, needed: integer, missing: integer }),
    taskManagers: list(object({ id: string, connected: boolean, slots: integer })),
    regions: list(
      object({
        id: string,
        state: { enum: ["adopting", "waiting", "deploying", "running", "cancelling", "pausing", "over"] },
        attempt: integer,
        vertices: list(object({ uid: string, parallelism: integer })),
        slices: list(slice),
      }),
    ),
  },
  ["epoch", "slots", "taskManagers", "regions"],
);

const savepoint = object({
  id: string,
  mode: orNull({ enum: ["keep", "stop", "drain"] }),
  phase: { enum: ["running", "completed", "failed"] },
  location: orNull(string),
  sizeBytes: orNull(integer),
  checkpointId: orNull(integer),
  formatVersion: orNull(integer),
  cutAtMs: orNull(number),
  completedAtMs: orNull(number),
  failure: orNull(object({ code: string, message: string })),
});

const exceptions = object({
  history: list(
    object(
      {
        atMs: number,
        region: string,
        attempt: integer,
        code: string,
        message: string,
        slot: integer,
        taskManagerId: string,
        uid: string,
        subtask: integer,
        record: object({ splitId: string, position: number }),
      },
      ["slot", "taskManagerId", "uid", "subtask", "record"],
    ),
  ),
  poison: list(
    object({ uid: orNull(string), splitId: string, position: number, failures: integer, lastMessage: string, lastAtMs: number }),
  ),
  recoveries: list(
    object({
      region: string,
      code: string,
      detectedAtMs: number,
      failures: integer,
      cancelledAtMs: orNull(number),
      deployedAtMs: orNull(number),
      restoredFrom: orNull(string),
      restoredAtMs: orNull(number),
      runningAtMs: orNull(number),
      slowest: orNull(object({ slot: integer, clearingMs: number, snapshotMs: number, instancesMs: number, connectMs: number })),
    }),
  ),
});

const savepointAnswers = {
  "200": answer("It is complete.", ref("Savepoint")),
  "202": answer("It is under way: ask again by its id.", ref("Savepoint")),
  "400": failure("The request is not understood."),
  "401": failure("The token is missing or wrong."),
  "409": answer("It failed, or the job cannot take one now.", { type: "object", required: ["code", "message"] }),
  "421": failure("This JobManager does not lead; `leader` says who does."),
};

export const openApiDocument: Readonly<Record<string, unknown>> = {
  openapi: "3.1.0",
  info: { title: "Millrace job", version: "1", description: "What a running job tells and what it can be asked for." },
  security: [{ token: [] }],
  paths: {
    "/healthz": {
      get: {
        summary: "The process lives.",
        responses: { "200": { description: "It does." }, "503": { description: "It does not do its work." } },
      },
    },
    "/readyz": {
      get: {
        summary: "It can take requests, or take over.",
        responses: { "200": { description: "It can." }, "503": { description: "Not now." } },
      },
    },
    "/metrics": { get: { summary: "Prometheus metrics.", responses: { "200": { description: "In the text format." } } } },
    "/v1/openapi.json": { get: { summary: "This document.", responses: { "200": answer("OpenAPI 3.1.", { type: "object" }) } } },
    "/v1/job": {
      get: {
        summary: "State, regions, slots, operators with their rates, lag and watermarks.",
        responses: { "200": answer("The job.", ref("Job")) },
      },
      patch: {
        summary: "Another parallelism, in place: a checkpoint, and only what changes is deployed anew.",
        requestBody: json(object({ parallelism: integer, vertices: map(integer) }, ["parallelism", "vertices"])),
        responses: {
          "200": answer("Everything runs with it.", object({ checkpointId: integer, gapMs: number, vertices: map(integer) })),
          "400": failure("The request is not understood."),
          "409": failure("It cannot be done in place now."),
        },
      },
    },
    "/v1/start": {
      post: {
        summary: "Starts a run that stands by, from a restore point.",
        requestBody: json(object({ run: integer, restore: object({ sinceRun: integer, location: string }, ["location"]) })),
        responses: {
          "200": answer("It starts, or has started.", object({ started: boolean })),
          "400": failure("The request is not understood."),
          "409": failure("The order is for another run."),
        },
      },
    },
    "/v1/job/stop": {
      post: {
        summary: "Ends the job with a last checkpoint.",
        responses: { "202": answer("It is stopping.", object({ stopping: boolean })) },
      },
    },
    "/v1/checkpoints": {
      get: {
        summary: "The last checkpoints.",
        responses: { "200": answer("Oldest first.", object({ checkpoints: list(ref("Checkpoint")) })) },
      },
    },
    "/v1/exceptions": {
      get: {
        summary: "What went wrong, and records that fail every attempt.",
        responses: { "200": answer("The last few.", ref("Exceptions")) },
      },
    },
    "/v1/config": {
      get: { summary: "What the job runs with, without secrets.", responses: { "200": answer("The configuration.", { type: "object" }) } },
    },
    "/v1/savepoints": {
      get: {
        summary: "Savepoints that were asked for or lie in the storage, the newest hundred of these.",
        responses: { "200": answer("In no order.", object({ savepoints: list(ref("Savepoint")) })) },
      },
      post: {
        summary: "Takes a savepoint; the same id again asks what became of it.",
        parameters: [parameter("wait", "query", "How long to wait for it, such as 30s.")],
        requestBody: json(object({ id: string, mode: { enum: ["keep", "stop", "drain"] } }, ["mode"])),
        responses: savepointAnswers,
      },
    },
    "/v1/savepoints/{id}": {
      get: {
        summary: "What became of a savepoint.",
        parameters: [parameter("id", "path", "Its id."), parameter("wait", "query", "How long to wait for it.")],
        responses: { ...savepointAnswers, "404": failure("There is none with this id.") },
      },
    },
    "/v1/slots/{slot}/flamegraph": {
      get: {
        summary: "What a slot's thread spends its time on, as a flame graph in speedscope's file format.",
        parameters: [parameter("slot", "path", "The slot's number."), parameter("duration", "query", "How long, such as 5s.")],
        responses: {
          "200": answer("Opens in speedscope; time in which the thread waits is left out.", {
            type: "object",
            required: ["$schema", "shared", "profiles"],
            properties: {
              $schema: string,
              shared: object({ frames: list({ type: "object", required: ["name"] }) }),
              profiles: list({ type: "object" }),
            },
          }),
        },
      },
    },
    "/v1/slots/{slot}/profile": {
      get: {
        summary: "A CPU profile of a slot's thread (.cpuprofile).",
        parameters: [parameter("slot", "path", "The slot's number."), parameter("duration", "query", "How long, such as 5s.")],
        responses: {
          "200": answer("Opens in browsers' developer tools and in speedscope.", { type: "object", required: ["nodes", "samples"] }),
        },
      },
    },
  },
  components: {
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
    schemas: {
      Error: { type: "object", properties: { code: string, message: string, leader: string }, required: ["code", "message"] },
      Job: job,
      Checkpoint: checkpoint,
      Savepoint: savepoint,
      Exceptions: exceptions,
    },
  },
};
