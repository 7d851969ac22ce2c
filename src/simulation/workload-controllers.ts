// The controllers of a simulated cluster: Deployments make pods, a kubelet starts and ends them, dependents of deleted objects are collected.
import type { AnyObject, ContainerStatus, Deployment, Kind, Pod } from "../ports/objects.ts";
import { typeOf } from "../ports/kind-table.ts";
import { foregroundFinalizer, keyOf, kubeletFinalizer, type ObjectStore } from "./object-store.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface PodSpecView {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What the pods' processes do; the simulation's model of the runtime. */
export interface PodProcesses {
  /** The container has started. */
  started(pod: Pod): void;
  /** Its process has ended, with its pod. */
  ended(pod: Pod): void;
  /** Undefined: it runs; otherwise it has just ended by itself. */
  crash(pod: Pod): string | undefined;
  ready(pod: Pod): boolean;
}

export interface WorkloadTiming {
  readonly controllerMs: () => number;
  readonly startMs: () => number;
  readonly terminationMs: () => number;
}

export const podView = (pod: Pod): PodSpecView => {
  const spec = pod.spec as {
    readonly containers?: readonly {
      readonly image?: string;
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
    }[];
  };
  const [container] = spec.containers ?? [];
  return {
    image: container?.image ?? "",
    environment: Object.fromEntries((container?.env ?? []).map(({ name, value = "" }) => [name, value])),
  };
};

export class WorkloadControllers {
  readonly #store: ObjectStore;
  readonly #time: VirtualTime;
  readonly #timing: WorkloadTiming;
  readonly #processes: PodProcesses;
  readonly #due = new Set<string>();
  /** Pods whose container runs, by uid. */
  readonly #running = new Map<string, Pod>();
  #podNumber = 0;

  constructor(store: ObjectStore, time: VirtualTime, timing: WorkloadTiming, processes: PodProcesses) {
    this.#store = store;
    this.#time = time;
    this.#timing = timing;
    this.#processes = processes;
    store.onChange((kind, event) => {
      if (event.type === "BOOKMARK") return;
      const { object } = event;
      if (kind === "Deployment" && event.type !== "DELETED")
        this.#later(`deployment ${idOf(object)}`, () => this.#syncDeployment(keyOf(object)));
      if (kind === "Pod") this.#podChanged(object as Pod, event.type);
      if (object.metadata.deletionTimestamp !== undefined) this.#later(`collect ${kind} ${idOf(object)}`, () => this.#collect(object));
    });
  }

  #later(task: string, run: () => void): void {
    if (this.#due.has(task)) return;
    this.#due.add(task);
    this.#time.after(this.#timing.controllerMs(), () => {
      this.#due.delete(task);
      run();
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

  #podChanged(pod: Pod, type: "ADDED" | "MODIFIED" | "DELETED"): void {
    for (const owner of pod.metadata.ownerReferences ?? []) {
      const key = { namespace: pod.metadata.namespace ?? "", name: owner.name };
      this.#later(`deployment ${key.namespace}/${key.name}`, () => this.#syncDeployment(key));
      this.#later(`collect Deployment ${key.namespace}/${key.name}`, () => {
        const object = this.#store.get("Deployment", key);
        if (object?.metadata.deletionTimestamp !== undefined) this.#collect(object);
      });
    }
    const uid = pod.metadata.uid ?? "";
    if (type === "ADDED") this.#time.after(this.#timing.startMs(), () => this.#start(keyOf(pod), uid, 0));
    else if (type === "DELETED") this.#end(uid);
    else if (pod.metadata.deletionTimestamp !== undefined)
      this.#later(`terminate ${uid}`, () => this.#time.after(this.#timing.terminationMs(), () => this.#terminate(keyOf(pod), uid)));
  }

  #start(key: ReturnType<typeof keyOf>, uid: string, restarts: number): void {
    const pod = this.#store.get("Pod", key);
    if (pod === undefined || pod.metadata.uid !== uid || pod.metadata.deletionTimestamp !== undefined) return;
    if (podView(pod).image.includes("missing")) {
      this.#setStatus(key, "Pending", {
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: "ImagePullBackOff", message: "not found" } },
      });
      return;
    }
    this.#setStatus(key, "Running", { ready: false, restartCount: restarts });
    const running = this.#store.get("Pod", key);
    if (running === undefined) return;
    this.#running.set(uid, running);
    this.#processes.started(running);
    this.lookAt(running);
  }

  /** Something in the pod's process may have changed. */
  lookAt(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const key = keyOf(pod);
    const now = this.#store.get("Pod", key);
    if (!this.#running.has(uid) || now === undefined || now.metadata.uid !== uid) return;
    const restarts = now.status?.containerStatuses?.[0]?.restartCount ?? 0;
    const reason = this.#processes.crash(now);
    if (reason === undefined) {
      this.#setStatus(key, "Running", { ready: this.#processes.ready(now), restartCount: restarts });
      return;
    }
    this.#running.delete(uid);
    this.#processes.ended(now);
    const terminated = { exitCode: 1, reason: "Error", message: reason };
    const backoffMs = Math.min(300_000, 10_000 * 2 ** Math.min(5, restarts));
    this.#setStatus(key, "Running", {
      ready: false,
      restartCount: restarts + 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated },
    });
    this.#time.after(backoffMs, () => this.#start(key, uid, restarts + 1));
  }

  /** The pod's process is killed, as by the kernel: its container starts again. */
  kill(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    if (!this.#running.delete(uid)) return;
    this.#processes.ended(pod);
    const restarts = (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) + 1;
    this.#setStatus(keyOf(pod), "Running", { ready: false, restartCount: restarts, lastState: { terminated: { exitCode: 137 } } });
    this.#time.after(this.#timing.startMs(), () => this.#start(keyOf(pod), uid, restarts));
  }

  #setStatus(key: ReturnType<typeof keyOf>, phase: "Pending" | "Running", container: Omit<ContainerStatus, "name">): void {
    this.#store.update("Pod", key, (before) => ({
      ...before,
      status: {
        phase,
        podIP: "10.0.0.1",
        conditions: [{ type: "Ready", status: container.ready ? "True" : "False" }],
        containerStatuses: [{ name: "millrace", ...container }],
      },
    }));
  }

  #terminate(key: ReturnType<typeof keyOf>, uid: string): void {
    this.#end(uid);
    this.#store.update("Pod", key, (before) =>
      before.metadata.uid === uid
        ? {
            ...before,
            metadata: { ...before.metadata, finalizers: (before.metadata.finalizers ?? []).filter((name) => name !== kubeletFinalizer) },
          }
        : before,
    );
  }

  #end(uid: string): void {
    const pod = this.#running.get(uid);
    this.#running.delete(uid);
    if (pod !== undefined) this.#processes.ended(pod);
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
