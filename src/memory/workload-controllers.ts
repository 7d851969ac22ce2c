// The controllers of a cluster in memory: Deployments and StatefulSets make pods, and dependents of deleted objects are collected.
import type { AnyObject, Deployment, Kind, Pod } from "../ports/objects.ts";
import { typeOf } from "../ports/kind-table.ts";
import { foregroundFinalizer, keyOf, type ObjectStore } from "./object-store.ts";
import type { Clock } from "../ports/machine.ts";
import { syncStatefulSet } from "./stateful-set.ts";

export class WorkloadControllers {
  readonly #store: ObjectStore;
  readonly #time: Clock;
  readonly #delayMs: () => number;
  readonly #due = new Set<string>();
  #podNumber = 0;
  #closed = false;

  constructor(store: ObjectStore, time: Clock, delayMs: () => number) {
    this.#store = store;
    this.#time = time;
    this.#delayMs = delayMs;
    store.onChange((kind, event) => {
      if (event.type === "BOOKMARK") return;
      const { object } = event;
      if (kind === "Deployment" && event.type !== "DELETED")
        this.#later(`deployment ${idOf(object)}`, () => this.#syncDeployment(keyOf(object)));
      if (kind === "StatefulSet" && event.type !== "DELETED")
        this.#later(`statefulset ${idOf(object)}`, () => syncStatefulSet(this.#store, keyOf(object)));
      if (kind === "Pod") this.#podChanged(object as Pod);
      if (event.type === "DELETED") this.#dependentGone(object);
      if (object.metadata.deletionTimestamp !== undefined) this.#later(`collect ${kind} ${idOf(object)}`, () => this.#collect(object));
    });
  }

  /** Nothing is made or deleted any more. */
  close(): void {
    this.#closed = true;
  }

  #later(task: string, run: () => void): void {
    if (this.#closed || this.#due.has(task)) return;
    this.#due.add(task);
    this.#time.after(this.#delayMs(), () => {
      this.#due.delete(task);
      if (!this.#closed) run();
    });
  }

  #syncDeployment(key: { readonly namespace: string; readonly name: string }): void {
    const deployment = this.#store.get("Deployment", key);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return;
    const spec = deployment.spec as {
      readonly replicas?: number;
      readonly template: { readonly metadata: Pod["metadata"]; readonly spec: Pod["spec"] };
    };
    const wanted = spec.replicas ?? 1;
    const template = JSON.stringify(spec.template);
    const alive = this.#podsOf(deployment).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const current = alive.filter(({ metadata }) => metadata.annotations?.["simulation/template"] === template);
    const old = alive.filter((pod) => !current.includes(pod));
    for (let missing = wanted - current.length; missing > 0; missing--) this.#makePod(deployment, spec.template, template);
    const ready = current.filter((pod) => isReady(pod));
    for (const pod of current.slice(wanted)) this.#store.delete("Pod", keyOf(pod));
    // Rolling: an old pod goes when a new one is ready in its place.
    for (const pod of old.slice(Math.max(0, wanted - ready.length))) this.#store.delete("Pod", keyOf(pod));
    const status = {
      observedGeneration: deployment.metadata.generation ?? 1,
      replicas: alive.length,
      readyReplicas: alive.filter(isReady).length,
      updatedReplicas: current.length,
    };
    this.#store.update("Deployment", key, (before) => ({ ...before, status }));
  }

  #makePod(deployment: Deployment, template: { readonly metadata: Pod["metadata"]; readonly spec: Pod["spec"] }, text: string): void {
    const { namespace = "", name, uid = "" } = deployment.metadata;
    this.#store.create<Pod>({
      ...typeOf("Pod"),
      metadata: {
        name: `${name}-${(++this.#podNumber).toString(36)}`,
        namespace,
        labels: { ...template.metadata.labels },
        annotations: { "simulation/template": text },
        ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name, uid, controller: true, blockOwnerDeletion: true }],
      },
      spec: template.spec,
      status: { phase: "Pending" },
    });
  }

  #podChanged(pod: Pod): void {
    for (const owner of pod.metadata.ownerReferences ?? []) {
      const key = { namespace: pod.metadata.namespace ?? "", name: owner.name };
      if (owner.kind === "StatefulSet") this.#later(`statefulset ${key.namespace}/${key.name}`, () => syncStatefulSet(this.#store, key));
      else this.#later(`deployment ${key.namespace}/${key.name}`, () => this.#syncDeployment(key));
    }
  }

  // An owner that waits for its dependents may be able to go now.
  #dependentGone({ metadata }: AnyObject): void {
    for (const { kind, name } of metadata.ownerReferences ?? []) {
      const key = { namespace: metadata.namespace ?? "", name };
      this.#later(`owner ${kind} ${key.namespace}/${name}`, () => {
        const owner = this.#store.get(kind as Kind, key);
        if (owner?.metadata.deletionTimestamp !== undefined) this.#collect(owner);
      });
    }
  }

  // Dependents of a deleted object are deleted; one that waits for them goes when they are gone.
  #collect(owner: AnyObject): void {
    const now = this.#store.get(owner.kind as Kind, keyOf(owner));
    const dependents = this.#store.dependents(owner);
    const foreground = now?.metadata.uid === owner.metadata.uid && now?.metadata.finalizers?.includes(foregroundFinalizer) === true;
    if (now === undefined || now.metadata.uid !== owner.metadata.uid || foreground) {
      for (const object of dependents)
        if (object.metadata.deletionTimestamp === undefined) this.#store.delete(object.kind as Kind, keyOf(object));
    }
    if (foreground && dependents.length === 0) {
      this.#store.update(owner.kind as Kind, keyOf(owner), (before) => ({
        ...before,
        metadata: { ...before.metadata, finalizers: (before.metadata.finalizers ?? []).filter((name) => name !== foregroundFinalizer) },
      }));
    }
  }

  #podsOf(deployment: Deployment): readonly Pod[] {
    return this.#store
      .list("Pod", { namespace: deployment.metadata.namespace ?? "" })
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === deployment.metadata.uid) === true);
  }
}

const idOf = (object: AnyObject): string => `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
const isReady = (pod: Pod): boolean => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
