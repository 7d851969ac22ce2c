// Manifests as JSON schemas, made from their types by `npm run crds`: the check of `millrace run -f`.
import appSchema from "./embedded-stream-app.schema.json" with { type: "json" };
import batchSchema from "./micro-batch-job.schema.json" with { type: "json" };
import schema from "./stream-job.schema.json" with { type: "json" };

export const streamJobSchema: object = schema;
export const microBatchJobSchema: object = batchSchema;
export const embeddedStreamAppSchema: object = appSchema;
