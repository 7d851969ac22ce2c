// What a change of each field of a MicroBatchJob's spec leads to.
import type { DriverSpec, ExecutorSpec, MicroBatchJobSpec } from "millrace/api";
import type { FieldClass } from "../streamjob/field-classes.ts";

type Classes<T> = { readonly [K in keyof Required<T>]: FieldClass | Readonly<Record<string, FieldClass>> };

const driver: { readonly [K in keyof Required<DriverSpec>]: FieldClass } = { resources: "upgraded", podTemplate: "upgraded" };
const executors: { readonly [K in keyof Required<ExecutorSpec>]: FieldClass } = {
  min: "scaled",
  max: "scaled",
  slots: "upgraded",
  idleTimeout: "ignored",
  decommissionTimeout: "upgraded",
  maxTaskAttempts: "upgraded",
  speculation: "upgraded",
  resources: "upgraded",
  podTemplate: "upgraded",
};

// A new field does not compile until its class is decided.
export const batchFieldClasses: Classes<MicroBatchJobSpec> = {
  image: "upgraded",
  job: {
    module: "upgraded",
    configMap: "upgraded",
    parameters: "upgraded",
    // Only the first start reads it.
    initialSavepoint: "ignored",
    allowNonRestoredState: "upgraded",
  },
  trigger: "upgraded",
  input: "upgraded",
  parallelism: "upgraded",
  maxParallelism: "upgraded",
  checkpoints: "upgraded",
  state: "upgraded",
  badRecords: "upgraded",
  suspend: "operation",
  stopMode: "ignored",
  schedule: "ignored",
  driver,
  executors,
  restart: "ignored",
  upgrade: "ignored",
  rollback: "ignored",
  deletion: "ignored",
  restartNonce: "operation",
  podTemplate: "upgraded",
  revisionHistoryLimit: "ignored",
  timeToLiveSeconds: "ignored",
};
