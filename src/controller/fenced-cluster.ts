// A Cluster whose writes are refused unless this replica leads: the last look before each request leaves.
import { ClusterError } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";

export function fencedCluster(cluster: Cluster, leading: () => boolean): Cluster {
  const check = (verb: string): void => {
    if (!leading()) throw new ClusterError("unavailable", verb, "this replica does not lead");
  };
  return {
    get: (kind, key) => cluster.get(kind, key),
    list: (kind, scope, keep) => cluster.list(kind, scope, keep),
    watch: (kind, scope, sink, signal) => cluster.watch(kind, scope, sink, signal),
    async apply(object) {
      check("apply");
      return cluster.apply(object);
    },
    async create(object) {
      check("create");
      return cluster.create(object);
    },
    async replace(object) {
      check("replace");
      return cluster.replace(object);
    },
    async replaceStatus(object) {
      check("replaceStatus");
      return cluster.replaceStatus(object);
    },
    async patchMetadata(kind, key, patch) {
      check("patchMetadata");
      return cluster.patchMetadata(kind, key, patch);
    },
    async delete(kind, key, preconditions) {
      check("delete");
      return cluster.delete(kind, key, preconditions);
    },
  };
}
