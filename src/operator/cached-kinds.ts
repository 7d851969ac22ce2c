// What the operator keeps copies of, and how little of each.
import type { CachedKind } from "../controller/object-cache.ts";
import type { ListScope } from "../ports/cluster.ts";
import type { AnyObject, Deployment, Kind, ObjectMeta, Pod, StatefulSet } from "../ports/objects.ts";
import { managedBy, managedByLabel } from "../streamjob/names.ts";

/** Kinds whose changes make their job be looked at. */
export const childKinds = [
  "Deployment",
  "StatefulSet",
  "Pod",
  "Service",
  "ConfigMap",
  "Secret",
  "ServiceAccount",
  "Role",
  "RoleBinding",
  "ControllerRevision",
  "PodDisruptionBudget",
  "NetworkPolicy",
] as const;

const ownKinds = ["StreamJob", "Savepoint", "EmbeddedStreamApp", "MicroBatchJob"] as const;

/** Without namespaces: all of them. */
export function cachedKinds(namespaces: readonly string[]): readonly CachedKind[] {
  const within: readonly ListScope[] = namespaces.length === 0 ? [{}] : namespaces.map((namespace) => ({ namespace }));
  const own = ownKinds.map((kind) => ({ kind, scopes: within }));
  const labels = { [managedByLabel]: managedBy };
  const children = childKinds.map((kind) => {
    const keep = keeps[kind];
    return { kind, scopes: within.map((scope) => ({ ...scope, labels })), ...(keep === undefined ? {} : { keep }) };
  });
  return [...own, ...children];
}

const bare = (object: AnyObject): AnyObject =>
  ({ apiVersion: object.apiVersion, kind: object.kind, metadata: metaOf(object.metadata) }) as AnyObject;

// Secrets and revisions are read whole; of the rest it counts that they are there and what they were built from.
const keeps: Partial<Record<Kind, (object: AnyObject) => AnyObject>> = {
  Deployment: (object) => {
    const { spec, status, metadata, ...type } = object as Deployment;
    return { ...type, metadata: metaOf(metadata), spec: { replicas: spec["replicas"] }, ...(status === undefined ? {} : { status }) };
  },
  StatefulSet: (object) => {
    const { spec, metadata, ...type } = object as StatefulSet;
    return {
      apiVersion: type.apiVersion,
      kind: type.kind,
      metadata: metaOf(metadata),
      spec: { replicas: spec["replicas"] },
    } as StatefulSet;
  },
  Pod: (object) => {
    const { status, metadata, ...type } = object as Pod;
    const { phase, podIP, reason, message, conditions, containerStatuses } = status ?? {};
    const kept = { phase, podIP, reason, message, conditions, containerStatuses };
    return {
      apiVersion: type.apiVersion,
      kind: type.kind,
      metadata: metaOf(metadata),
      spec: {},
      status: JSON.parse(JSON.stringify(kept)) as object,
    } as Pod;
  },
  Service: bare,
  ConfigMap: bare,
  ServiceAccount: bare,
  Role: bare,
  RoleBinding: bare,
  PodDisruptionBudget: bare,
  NetworkPolicy: bare,
};

function metaOf({ name, namespace, uid, resourceVersion, generation, deletionTimestamp, labels, annotations }: ObjectMeta): ObjectMeta {
  const kept = { name, namespace, uid, resourceVersion, generation, deletionTimestamp, labels, annotations };
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as unknown as ObjectMeta;
}
