// What the operator keeps copies of, and how little of each.
import type { CachedKind } from "../controller/object-cache.ts";
import type { ListScope } from "../ports/cluster.ts";
import type { AnyObject, ContainerStatus, Deployment, Kind, ObjectMeta, Pod, StatefulSet } from "../ports/objects.ts";
import { componentLabel, managedBy, managedByLabel } from "../resource/names.ts";

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
  const own = ownKinds.map((kind) => ({ kind, scopes: within, keep: withoutApplied }));
  const labels = { [managedByLabel]: managedBy };
  const children = childKinds.map((kind) => {
    const keep = keeps[kind];
    return { kind, scopes: within.map((scope) => ({ ...scope, labels })), ...(keep === undefined ? {} : { keep }) };
  });
  return [...own, ...children];
}

const applied = "kubectl.kubernetes.io/last-applied-configuration";

/** What `kubectl apply` leaves on a resource is the manifest once more. */
function withoutApplied(object: AnyObject): AnyObject {
  const { annotations } = object.metadata;
  if (annotations?.[applied] === undefined) return object;
  const { [applied]: _manifest, ...kept } = annotations;
  return { ...object, metadata: { ...object.metadata, annotations: kept } };
}

type PodStatus = NonNullable<Pod["status"]>;
const podConditions: ReadonlySet<string> = new Set(["Ready", "PodScheduled"]);

const conditionOf = ({ type, status, reason, message }: NonNullable<PodStatus["conditions"]>[number]): object => ({
  ...{ type, status, reason, message },
});

// A state has times and ids beside what is read of it.
const containerOf = ({ name, ready, restartCount, state, lastState }: ContainerStatus): object => ({
  ...{ name, ready, restartCount },
  state: state === undefined ? undefined : { waiting: state.waiting, terminated: endOf(state.terminated) },
  lastState: lastState?.terminated === undefined ? undefined : { terminated: endOf(lastState.terminated) },
});

const endOf = (end: NonNullable<ContainerStatus["state"]>["terminated"]): object | undefined =>
  end === undefined ? undefined : { exitCode: end.exitCode, reason: end.reason, message: end.message };

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
    const kept = {
      ...{ phase, podIP, reason, message },
      conditions: conditions?.filter((one) => podConditions.has(one.type)).map(conditionOf),
      containerStatuses: containerStatuses?.map(containerOf),
    };
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
  const kept = {
    name,
    namespace,
    uid,
    resourceVersion,
    generation,
    deletionTimestamp,
    labels: ours(labels),
    annotations: ours(annotations),
  };
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as unknown as ObjectMeta;
}

/** Which run and component an object is of, and what it was built from. */
function ours(texts: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | undefined {
  const kept = Object.entries(texts ?? {}).filter(([name]) => name.startsWith("millrace.dev/") || name === componentLabel);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
