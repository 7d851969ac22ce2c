// By which label an object belongs to a resource of each kind. One label for each, so that resources of two kinds may have the same name.
import type { ObjectKey } from "../ports/cluster.ts";
import type { AnyObject } from "../ports/objects.ts";

export const ownerLabels = {
  StreamJob: "millrace.dev/job",
  MicroBatchJob: "millrace.dev/microbatchjob",
  EmbeddedStreamApp: "millrace.dev/embeddedstreamapp",
} as const;

export type OwnerKind = keyof typeof ownerLabels;

const ownerKinds = Object.keys(ownerLabels) as readonly OwnerKind[];

/** The resource that an object belongs to; undefined when there is none. */
export function ownerOfObject({ metadata }: AnyObject): { readonly kind: OwnerKind; readonly key: ObjectKey } | undefined {
  for (const kind of ownerKinds) {
    const name = metadata.labels?.[ownerLabels[kind]];
    if (name !== undefined) return { kind, key: { namespace: metadata.namespace ?? "", name } };
  }
  return undefined;
}

export const indexOfOwner = (kind: OwnerKind, { namespace, name }: ObjectKey): string => `${kind} ${namespace}/${name}`;

export function indexOf(object: AnyObject): string | undefined {
  const owner = ownerOfObject(object);
  return owner === undefined ? undefined : indexOfOwner(owner.kind, owner.key);
}
