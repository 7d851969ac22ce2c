// Revisions of a MicroBatchJob: what of a spec decides what runs, under a name made of it. Kept as ControllerRevisions, so that a rollback has what to go back to.
import type { MicroBatchJobSpec } from "millrace/api";
import { typeOf } from "../ports/kind-table.ts";
import type { ControllerRevision, MicroBatchJob } from "../ports/objects.ts";
import { ownerOf } from "../streamjob/build/owner.ts";
import { type FieldClass, partBy } from "../streamjob/field-classes.ts";
import { digest, shortName } from "../resource/names.ts";
import { canonical } from "../streamjob/revision.ts";
import { batchFieldClasses } from "./field-classes.ts";
import { batchLabels } from "./names.ts";

export type BatchRevisionSpec = Partial<MicroBatchJobSpec> & { readonly image: string };

export interface BatchRevision {
  readonly name: string;
  readonly number: number;
  /** The spec's part that the revision fixes, with the image that it was given when it was made. */
  readonly spec: BatchRevisionSpec;
}

const fixed: ReadonlySet<FieldClass> = new Set(["upgraded"]);

// How many executors there are changes while a run goes on; whether there are any decides what its driver does.
function partOf(spec: MicroBatchJobSpec): Partial<MicroBatchJobSpec> {
  const part = partBy(batchFieldClasses, spec, fixed);
  return (spec.executors?.max ?? 0) === 0 ? part : { ...part, executors: { ...part.executors, max: 1 } };
}

export const hasExecutors = ({ spec }: BatchRevision): boolean => (spec.executors?.max ?? 0) > 0;

/** The same for every operator version: a new default image is not a new revision. */
export const batchRevisionName = (job: string, spec: MicroBatchJobSpec): string =>
  shortName(job, "batch", digest(canonical(partOf(spec))).slice(0, 10));

export function newBatchRevision({ metadata, spec }: MicroBatchJob, number: number, defaultImage: string): BatchRevision {
  return { name: batchRevisionName(metadata.name, spec), number, spec: { ...partOf(spec), image: spec.image ?? defaultImage } };
}

export function batchRevisionObject(job: MicroBatchJob, revision: BatchRevision): ControllerRevision {
  return {
    ...typeOf("ControllerRevision"),
    metadata: {
      name: revision.name,
      namespace: job.metadata.namespace ?? "",
      labels: batchLabels(job.metadata.name),
      ownerReferences: [ownerOf(job)],
    },
    revision: revision.number,
    data: { spec: revision.spec },
  };
}

export function batchRevisionOf(object: ControllerRevision): BatchRevision {
  const { spec } = object.data as { readonly spec: BatchRevisionSpec };
  return { name: object.metadata.name, number: object.revision, spec };
}
