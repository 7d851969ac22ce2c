// The StreamJob manifest as a JSON schema, made from its types by `npm run crds`: the check of `millrace run -f`.
import schema from "./stream-job.schema.json" with { type: "json" };

export const streamJobSchema: object = schema;
