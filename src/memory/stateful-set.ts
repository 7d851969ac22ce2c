// The controller of StatefulSets of a cluster in memory: pods by ordinal, claims that stay, and an update from the last ordinal down to its partition, one ready pod after the other.
import { typeOf } from "../ports/kind-table.ts";
import type { KubeObject, Pod, StatefulSet } from "../ports/objects.ts";
import { keyOf, type ObjectStore } from "./object-store.ts";

interface SetSpec {
  readonly replicas?: number;
  readonly template: { readonly metadata: Pod["metadata"]; readonly spec: Pod["spec"] };
  readonly updateStrategy?: { readonly rollingUpdate?: { readonly partition?: number } };
  readonly volumeClaimTemplates?: readonly {
    readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  }[];
}

const templateAnnotation = "simulation/template";
/** On the StatefulSet: the template that pods below the partition are made of. */
const currentAnnotation = "simulation/current-template";

export function syncStatefulSet(store: ObjectStore, key: { readonly namespace: string; readonly name: string }): void {
  const set = store.get("StatefulSet", key);
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return;
  const spec = set.spec as unknown as SetSpec;
  const replicas = spec.replicas ?? 1;
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const update = JSON.stringify(spec.template);
  const current = set.metadata.annotations?.[currentAnnotation] ?? update;
  const pods = store
    .list("Pod", { namespace: key.namespace })
    .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid) === true);
  const byOrdinal = new Map(pods.map((pod) => [Number(pod.metadata.name.slice(key.name.length + 1)), pod]));
  for (let ordinal = 0; ordinal < replicas; ordinal++) {
    if (!byOrdinal.has(ordinal)) makePod(store, set, spec, ordinal, ordinal >= partition ? update : current);
  }
  for (const [ordinal, pod] of byOrdinal) if (ordinal >= replicas) store.delete("Pod", keyOf(pod));
  roll(store, byOrdinal, { replicas, partition, update });
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const updated =
    partition === 0 && alive.length === replicas && alive.every((pod) => pod.metadata.annotations?.[templateAnnotation] === update);
  const status = { observedGeneration: set.metadata.generation ?? 1, replicas: alive.length, readyReplicas: alive.filter(isReady).length };
  store.update("StatefulSet", key, (before) => ({
    ...before,
    metadata: { ...before.metadata, annotations: { ...before.metadata.annotations, [currentAnnotation]: updated ? update : current } },
    status,
  }));
}

// The last pod that is not of the new template goes when all above it are ready; one that is broken is waited for.
function roll(
  store: ObjectStore,
  byOrdinal: ReadonlyMap<number, Pod>,
  { replicas, partition, update }: { readonly replicas: number; readonly partition: number; readonly update: string },
): void {
  for (let ordinal = replicas - 1; ordinal >= partition; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return;
    if (pod.metadata.annotations?.[templateAnnotation] !== update) return store.delete("Pod", keyOf(pod));
    if (!isReady(pod)) return;
  }
}

function makePod(store: ObjectStore, set: StatefulSet, spec: SetSpec, ordinal: number, text: string): void {
  const { namespace = "", name, uid = "" } = set.metadata;
  const template = JSON.parse(text) as SetSpec["template"];
  for (const claim of spec.volumeClaimTemplates ?? []) {
    const key = { namespace, name: `${claim.metadata.name}-${name}-${ordinal}` };
    if (store.get("PersistentVolumeClaim", key) !== undefined) continue;
    store.create<KubeObject>({ ...typeOf("PersistentVolumeClaim"), metadata: { ...key, labels: claim.metadata.labels ?? {} } });
  }
  store.create<Pod>({
    ...typeOf("Pod"),
    metadata: {
      name: `${name}-${ordinal}`,
      namespace,
      labels: { ...template.metadata.labels },
      annotations: { [templateAnnotation]: text },
      ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name, uid, controller: true, blockOwnerDeletion: true }],
    },
    spec: template.spec,
    status: { phase: "Pending" },
  });
}

const isReady = (pod: Pod): boolean => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
