// Revisions of an EmbeddedStreamApp: what of a spec decides what its pods are, under a name made of it.
import type { EmbeddedStreamAppSpec } from "millrace/api";
import { typeOf } from "../ports/kind-table.ts";
import type { ControllerRevision, EmbeddedStreamApp } from "../ports/objects.ts";
import { ownerOf } from "../streamjob/build/owner.ts";
import { type FieldClass, partBy } from "../streamjob/field-classes.ts";
import { digest, shortName } from "../resource/names.ts";
import { canonical } from "../streamjob/revision.ts";
import { appFieldClasses } from "./field-classes.ts";
import { appLabels } from "./names.ts";

export interface AppRevision {
  readonly name: string;
  readonly number: number;
  /** The spec's part that the revision fixes. */
  readonly spec: Partial<EmbeddedStreamAppSpec>;
}

const fixed: ReadonlySet<FieldClass> = new Set(["rolled"]);

export const appRevisionName = (app: string, spec: EmbeddedStreamAppSpec): string =>
  shortName(app, "app", digest(canonical(partBy(appFieldClasses, spec, fixed))).slice(0, 10));

export const newAppRevision = ({ metadata, spec }: EmbeddedStreamApp, number: number): AppRevision => ({
  name: appRevisionName(metadata.name, spec),
  number,
  spec: partBy(appFieldClasses, spec, fixed),
});

export function appRevisionObject(app: EmbeddedStreamApp, revision: AppRevision): ControllerRevision {
  const { name, namespace = "" } = app.metadata;
  return {
    ...typeOf("ControllerRevision"),
    metadata: { name: revision.name, namespace, labels: appLabels(name), ownerReferences: [ownerOf(app)] },
    revision: revision.number,
    data: { spec: revision.spec },
  };
}

export function appRevisionOf(object: ControllerRevision): AppRevision {
  const { spec } = object.data as { readonly spec: Partial<EmbeddedStreamAppSpec> };
  return { name: object.metadata.name, number: object.revision, spec };
}
