// Revisions: what of a spec decides what runs, under a name made of it. Kept as ControllerRevisions, so that a rollback has what to go back to.
import type { StreamJobSpec } from "millrace/api";
import { typeOf } from "../ports/kind-table.ts";
import type { ControllerRevision, StreamJob } from "../ports/objects.ts";
import { type FieldClass, partOf } from "./field-classes.ts";
import { jobLabels } from "./names.ts";
import { digest, shortName } from "../resource/names.ts";
import { ownerOf } from "./build/owner.ts";

export interface Revision {
  readonly name: string;
  readonly number: number;
  /** The spec's part that the revision fixes, with the image that it was given when it was made. */
  readonly spec: RevisionSpec;
}

export type RevisionSpec = Partial<StreamJobSpec> & { readonly image: string };

const fixed: ReadonlySet<FieldClass> = new Set(["rolled", "upgraded"]);
const upgraded: ReadonlySet<FieldClass> = new Set(["upgraded"]);

/** The same for every operator version: a new default image is not a new revision. */
export function revisionName(job: string, spec: StreamJobSpec): string {
  return shortName(job, digest(canonical(partOf(spec, fixed))).slice(0, 10));
}

/** True when a change between the two needs a new run; otherwise pods may be rolled. */
export function needsNewRun(from: RevisionSpec, to: RevisionSpec): boolean {
  return canonical(partOf(from as StreamJobSpec, upgraded)) !== canonical(partOf(to as StreamJobSpec, upgraded));
}

export function newRevision(job: StreamJob, number: number, defaultImage: string): Revision {
  const { spec } = job;
  return { name: revisionName(job.metadata.name, spec), number, spec: { ...partOf(spec, fixed), image: spec.image ?? defaultImage } };
}

export function revisionObject(job: StreamJob, revision: Revision): ControllerRevision {
  return {
    ...typeOf("ControllerRevision"),
    metadata: {
      name: revision.name,
      namespace: job.metadata.namespace ?? "",
      labels: jobLabels(job.metadata.name),
      ownerReferences: [ownerOf(job)],
    },
    revision: revision.number,
    data: { spec: revision.spec },
  };
}

export function revisionOf(object: ControllerRevision): Revision {
  const { spec } = object.data as { readonly spec: RevisionSpec };
  return { name: object.metadata.name, number: object.revision, spec };
}

/** JSON with sorted keys: equal for equal values. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}
