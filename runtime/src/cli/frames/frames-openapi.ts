// The OpenAPI document of a query in batches: what every job answers, and what only a query does.
import {
  answer,
  failure,
  integer,
  json,
  list,
  map,
  number,
  object,
  openApiDocument,
  orNull,
  type Schema,
  string,
} from "../rest/openapi.ts";

const progress = object({
  id: string,
  runId: string,
  name: string,
  timestamp: string,
  batchId: integer,
  batchDuration: number,
  numInputRows: integer,
  inputRowsPerSecond: number,
  processedRowsPerSecond: number,
  durationMs: map(number),
  eventTime: map(string),
  stateOperators: list(
    object({
      operatorName: string,
      uid: string,
      numRowsTotal: number,
      numRowsUpdated: number,
      numRowsOutput: number,
      allUpdatesTimeMs: number,
      allRemovalsTimeMs: number,
      memoryUsedBytes: number,
      diskUsedBytes: number,
      numRowsDroppedByWatermark: number,
    }),
  ),
  sources: list(
    object(
      {
        description: string,
        name: string,
        startOffset: {},
        endOffset: {},
        numInputRows: number,
        inputRowsPerSecond: number,
        processedRowsPerSecond: number,
        backlog: number,
        malformed: number,
      },
      ["backlog"],
    ),
  ),
  sink: object({ description: string, numOutputRows: number }),
});

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const checkpoint = object({ id: integer, location: string, completedAtMs: number });

const query = object({
  name: string,
  run: integer,
  id: orNull(string),
  runId: orNull(string),
  state: { enum: ["restoring", "running", "stopping", "finished", "stopped", "failed"] },
  lastBatchId: integer,
  restoredFrom: orNull(string),
  lastCheckpoint: orNull(checkpoint),
  lastProgress: orNull(ref("Progress")),
  idle: { type: "boolean" },
  triggerMs: number,
  runningSinceMs: orNull(number),
  savepoint: orNull(object({ id: string, location: string })),
  executors: list(
    object({
      id: string,
      address: string,
      slots: integer,
      state: { enum: ["active", "leaving", "excluded"] },
      runningTasks: integer,
      finishedTasks: integer,
      failedTasks: integer,
      statePartitions: integer,
    }),
  ),
});

const paths = openApiDocument["paths"] as Readonly<Record<string, object>>;
const components = openApiDocument["components"] as { readonly schemas: object };

export const framesOpenApiDocument: Readonly<Record<string, unknown>> = {
  ...openApiDocument,
  paths: {
    ...paths,
    "/v1/query": {
      get: { summary: "The query, its last batch and its executors.", responses: { "200": answer("The query.", ref("Query")) } },
    },
    "/v1/progress": {
      get: {
        summary: "The last hundred batches, as Spark's StreamingQueryProgress.",
        responses: { "200": answer("Oldest first.", object({ progress: list(ref("Progress")) })) },
      },
    },
    "/v1/stop": {
      post: {
        summary: "Ends the query: behind the batch under way, or at once, and then the batch is run again by the next start.",
        requestBody: { required: false, ...json(object({ mode: { enum: ["batch", "immediate"] } }, ["mode"])) },
        responses: {
          "202": answer("It is stopping.", object({ stopping: { type: "boolean" } })),
          "400": failure("The request is not understood."),
          "409": failure("It does not run yet."),
        },
      },
    },
  },
  components: { ...components, schemas: { ...components.schemas, Progress: progress, Query: query } },
};
