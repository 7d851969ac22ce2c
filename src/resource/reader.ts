// Where observations come from: the informers' copies, or the cluster itself.
import type { ObjectCache } from "../controller/object-cache.ts";
import { type OwnerKind, ownerLabels } from "../controller/owner-labels.ts";
import type { Cluster, ListScope, ObjectKey } from "../ports/cluster.ts";
import type { Kind, Kinds } from "../ports/objects.ts";

export interface Reader {
  get<K extends Kind>(kind: K, key: ObjectKey): Promise<Kinds[K] | undefined>;
  /** The objects that carry the resource's label. */
  owned<K extends Kind>(kind: K, key: ObjectKey): Promise<readonly Kinds[K][]>;
}

/** Reads what belongs to resources of the kind `owner`. */
export const cachedReader = (cache: ObjectCache, owner: OwnerKind): Reader => ({
  get: async (kind, key) => cache.get(kind, key),
  owned: async (kind, key) => cache.ofOwner(kind, owner, key),
});

export const liveReader = (cluster: Cluster, owner: OwnerKind): Reader => ({
  get: (kind, key) => cluster.get(kind, key),
  owned: async (kind, key) => (await cluster.list(kind, scopeOf(owner, key))).items,
});

const scopeOf = (owner: OwnerKind, { namespace, name }: ObjectKey): ListScope => ({ namespace, labels: { [ownerLabels[owner]]: name } });

/** Reads each thing once: for several looks at one moment. */
export function steadyReader(reader: Reader): Reader {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, read: () => Promise<T> | T): Promise<T> => {
    const before = known.get(key) as Promise<T> | undefined;
    if (before !== undefined) return before;
    const reading = Promise.resolve(read());
    known.set(key, reading);
    return reading;
  };
  return {
    owned: (kind, { namespace, name }) => once(`all ${kind} ${namespace}/${name}`, () => reader.owned(kind, { namespace, name })),
    get: (kind, { namespace, name }) => once(`${kind} ${namespace}/${name}`, () => reader.get(kind, { namespace, name })),
  };
}
