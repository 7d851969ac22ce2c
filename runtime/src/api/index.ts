// What the operator and other tools may import of the runtime: the shapes of manifests.
export type {
  BadRecordsSpec,
  CheckpointSpec,
  JobSpec,
  ManifestMetadata,
  StateSpec,
  StreamJobManifest,
  StreamJobSpec,
} from "./stream-job.ts";
export { streamJobSchema } from "./stream-job-schema.ts";
