// Steps that resources of every kind have. Each may be carried out twice: whoever died after it does it again.
import type { ObjectCache } from "../controller/object-cache.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, ObjectKey } from "../ports/cluster.ts";
import type { AnyObject, Kind } from "../ports/objects.ts";

export interface DeletionTarget {
  readonly kind: Kind;
  readonly name: string;
  readonly uid: string;
}

/** Made once: whoever finds it there made it before it died, or before the answer was lost. */
export async function createOnce(cluster: Cluster, cache: ObjectCache, object: AnyObject): Promise<void> {
  try {
    cache.wrote(await cluster.create(object));
  } catch (error) {
    if (!isClusterError(error, "exists")) throw error;
    const there = await cluster.get(object.kind as "Secret", keyOfObject(object));
    if (there !== undefined) cache.wrote(there);
  }
}

/** `lingering`: kinds whose objects stay a while after they were deleted, and are looked at until they are gone. */
export async function deleteAll(
  { cluster, cache }: { readonly cluster: Cluster; readonly cache: ObjectCache },
  namespace: string,
  targets: readonly DeletionTarget[],
  lingering: readonly Kind[],
): Promise<void> {
  for (const { kind, name, uid } of targets) {
    await cluster.delete(kind, { namespace, name }, uid === "" ? {} : { uid });
    if (uid !== "" && !lingering.includes(kind)) cache.deleted(uid);
  }
}

/** Finalizers and annotations of the resource itself, under the version that was read. */
export async function markResource(
  cluster: Cluster,
  resource: AnyObject,
  step:
    | { readonly kind: "addFinalizer" | "removeFinalizer"; readonly finalizer: string }
    | { readonly kind: "dropAnnotation"; readonly name: string },
): Promise<void> {
  const { resourceVersion = "", finalizers = [] } = resource.metadata;
  const change = (): { readonly finalizers: readonly string[] } | { readonly annotations: Readonly<Record<string, null>> } => {
    if (step.kind === "dropAnnotation") return { annotations: { [step.name]: null } };
    if (step.kind === "addFinalizer") return { finalizers: [...finalizers, step.finalizer] };
    return { finalizers: finalizers.filter((name) => name !== step.finalizer) };
  };
  await cluster.patchMetadata(resource.kind as Kind, keyOfObject(resource), { resourceVersion, ...change() });
}

export const keyOfObject = ({ metadata }: AnyObject): ObjectKey => ({ namespace: metadata.namespace ?? "", name: metadata.name });
