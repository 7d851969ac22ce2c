// What the operator and other tools may import of the runtime: the shapes of manifests.
export type { Condition } from "./conditions.ts";
export type { PodSpecTemplate, PodTemplate } from "./pod-template.ts";
export type { SavepointManifest, SavepointPhase, SavepointSpec, SavepointStatus } from "./savepoint.ts";
export type { BadRecordsSpec } from "./bad-records.ts";
export type { CheckpointSpec, S3Access } from "./checkpoints.ts";
export type {
  AppUpgrade,
  EmbeddedStreamAppManifest,
  EmbeddedStreamAppSpec,
  EmbeddedStreamAppStatus,
  KafkaAccess,
} from "./embedded-stream-app.ts";
export type {
  BatchInputSpec,
  BatchRestartSpec,
  DriverSpec,
  ExecutorSpec,
  MicroBatchJobManifest,
  MicroBatchJobSpec,
  ScheduleSpec,
  TriggerSpec,
} from "./micro-batch-job.ts";
export type {
  ActiveBatchRun,
  BatchRun,
  BatchStatus,
  BatchStop,
  BatchUpgrade,
  ExecutorAllocation,
  MicroBatchJobState,
  MicroBatchJobStatus,
} from "./micro-batch-job-status.ts";
export type {
  JobManagerSpec,
  JobSpec,
  ManifestMetadata,
  ResourcesSpec,
  StateSpec,
  StreamJobManifest,
  StreamJobSpec,
  TaskManagerSpec,
} from "./stream-job.ts";
export type { RestartSpec } from "./restarts.ts";
export type { DeletionPolicy, RollbackSpec, SavepointPolicy, UpgradeSpec } from "./stream-job-lifecycle.ts";
export { embeddedStreamAppSchema, microBatchJobSchema, streamJobSchema } from "./stream-job-schema.ts";
export type {
  ActiveRun,
  LastUpgrade,
  PinnedRevision,
  RestorePoint,
  SavepointFacts,
  SavepointsStatus,
  StreamJobState,
  StreamJobStatus,
  UpgradeKind,
  UpgradePhase,
  UpgradeProgress,
} from "./stream-job-status.ts";
