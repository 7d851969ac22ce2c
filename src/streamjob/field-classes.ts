// What a change of each field of the spec leads to.
import type { JobManagerSpec, JobSpec, StreamJobSpec, TaskManagerSpec } from "millrace/api";

/**
 * `ignored`: nothing is restarted, it counts from now on. `scaled`: in place, through the running job. `rolled`: pods are replaced one by one while the
 * job runs. `upgraded`: a new run, with a savepoint. `operation`: asks for something to be done once.
 */
export type FieldClass = "ignored" | "scaled" | "rolled" | "upgraded" | "operation";

type Classes<T> = { readonly [K in keyof Required<T>]: FieldClass | Readonly<Record<string, FieldClass>> };

// A new field does not compile until its class is decided.
const job: { readonly [K in keyof Required<JobSpec>]: FieldClass } = {
  module: "upgraded",
  configMap: "upgraded",
  parameters: "upgraded",
  // Only the first start reads it.
  initialSavepoint: "ignored",
  allowNonRestoredState: "upgraded",
};
// A JobManager that is replaced does not restart the job.
const jobManager: { readonly [K in keyof Required<JobManagerSpec>]: FieldClass } = {
  replicas: "scaled",
  resources: "rolled",
  podTemplate: "rolled",
};
const taskManager: { readonly [K in keyof Required<TaskManagerSpec>]: FieldClass } = {
  replicas: "scaled",
  slots: "upgraded",
  resources: "upgraded",
  podTemplate: "upgraded",
};

export const fieldClasses: Classes<StreamJobSpec> = {
  image: "upgraded",
  job,
  suspend: "operation",
  parallelism: "scaled",
  maxParallelism: "upgraded",
  vertexParallelism: "upgraded",
  checkpoints: "upgraded",
  exchange: "upgraded",
  state: "upgraded",
  badRecords: "upgraded",
  restarts: "upgraded",
  upgrade: "ignored",
  rollback: "ignored",
  savepoints: "ignored",
  deletion: "ignored",
  restartNonce: "operation",
  podTemplate: "upgraded",
  jobManager,
  taskManager,
  revisionHistoryLimit: "ignored",
};

/** The part of a spec whose fields have one of the classes; what is left out is as if it were not given. */
export const partOf = (spec: StreamJobSpec, classes: ReadonlySet<FieldClass>): Partial<StreamJobSpec> =>
  partBy(fieldClasses, spec, classes);

/** The same by another kind's table. */
export function partBy<Spec extends object>(
  table: { readonly [K in keyof Required<Spec>]: FieldClass | Readonly<Record<string, FieldClass>> },
  spec: Spec,
  classes: ReadonlySet<FieldClass>,
): Partial<Spec> {
  const part: Record<string, unknown> = {};
  for (const [field, value] of sorted(spec)) {
    const its = table[field as keyof Spec] as FieldClass | Readonly<Record<string, FieldClass>> | undefined;
    if (value === undefined || its === undefined) continue;
    if (typeof its === "string") {
      if (classes.has(its)) part[field] = value;
      continue;
    }
    const inner = sorted(value as object).filter(([name]) => classes.has(its[name] ?? "upgraded"));
    if (inner.length > 0) part[field] = Object.fromEntries(inner);
  }
  return part as Partial<Spec>;
}

/** Every field with its class, as `job.module`. */
export function allFieldClasses(): ReadonlyMap<string, FieldClass> {
  const all = new Map<string, FieldClass>();
  for (const [field, its] of Object.entries(fieldClasses)) {
    if (typeof its === "string") all.set(field, its as FieldClass);
    else for (const [name, inner] of Object.entries(its as Readonly<Record<string, FieldClass>>)) all.set(`${field}.${name}`, inner);
  }
  return all;
}

const sorted = (object: object): readonly (readonly [string, unknown])[] =>
  Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)) as readonly (readonly [string, unknown])[];
