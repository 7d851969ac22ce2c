// Snapshots: what drivers, the command and tests use of them.
export { openStorage, normalizeStorageUrl, splitStorageUrl, type StorageOptions } from "./storage/open-storage.ts";
export type { S3Options } from "./storage/s3-client.ts";
export {
  CheckpointStore,
  CheckpointWriter,
  type CheckpointStoreOptions,
  type SnapshotRef,
} from "./store/checkpoint-store.ts";
export type { SavepointResult } from "./savepoint/savepoints.ts";
export type { SubtaskSnapshot } from "./upload/checkpoint-upload.ts";
export type { SourceRecord } from "./store/operator-record.ts";
export type { PublishedCheckpoint } from "./store/publisher.ts";
export type { BaseAbout, BaseUpload } from "./upload/base-upload.ts";
export type { Restored, RestoredSplits } from "./store/restored.ts";
export { checkRestore, type JobNode, type RestoreOptions, type RestorePlan } from "./store/restore-check.ts";
export { openSnapshot } from "./store/open-snapshot.ts";
