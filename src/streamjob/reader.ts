// Where observations come from: the informers' copies, or the cluster itself.
import type { ObjectCache } from "../controller/object-cache.ts";
import type { Cluster, ListScope, ObjectKey } from "../ports/cluster.ts";
import type { Kind, Kinds } from "../ports/objects.ts";
import { jobLabel } from "./names.ts";

export interface Reader {
  get<K extends Kind>(kind: K, key: ObjectKey): Promise<Kinds[K] | undefined>;
  /** The objects that carry the job's label. */
  ofJob<K extends Kind>(kind: K, key: ObjectKey): Promise<readonly Kinds[K][]>;
}

export const cachedReader = (cache: ObjectCache): Reader => ({
  get: async (kind, key) => cache.get(kind, key),
  ofJob: async (kind, key) => cache.ofJob(kind, key),
});

export const liveReader = (cluster: Cluster): Reader => ({
  get: (kind, key) => cluster.get(kind, key),
  ofJob: async (kind, key) => (await cluster.list(kind, scopeOfJob(key))).items,
});

const scopeOfJob = ({ namespace, name }: ObjectKey): ListScope => ({ namespace, labels: { [jobLabel]: name } });
