// Starts and ends the processes of pods in memory, starts them again when they crash, and tells the API server how they are.
import type { Clock } from "../ports/machine.ts";
import { restPortAnnotation } from "../ports/job-client.ts";
import type { ContainerStatus, Pod } from "../ports/objects.ts";
import { keyOf, kubeletFinalizer, type ObjectStore } from "./object-store.ts";

export interface ProcessEnd {
  readonly exitCode: number;
  readonly message: string;
}

/** What runs in pods: a model in the simulation, child processes on a laptop. */
export interface PodProcesses {
  /** Why the pod cannot be started, such as `ImagePullBackOff`. */
  refused(pod: Pod): string | undefined;
  /** `ended` is called when the process ends by itself. */
  start(pod: Pod, ended: (end: ProcessEnd) => void): void;
  /** Ends the process; `done` is called when it is gone. */
  stop(pod: Pod, done: () => void): void;
  ready(pod: Pod): boolean;
  /** Where it is reached. */
  address(pod: Pod): { readonly ip: string; readonly restPort?: number };
}

const firstBackoffMs = 10_000;
const maxBackoffMs = 300_000;

export class Kubelet {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #processes: PodProcesses;
  readonly #startMs: () => number;
  readonly #running = new Set<string>();
  readonly #ending = new Set<string>();

  constructor(store: ObjectStore, clock: Clock, processes: PodProcesses, startMs: () => number) {
    this.#store = store;
    this.#clock = clock;
    this.#processes = processes;
    this.#startMs = startMs;
    store.onChange((kind, event) => {
      if (kind !== "Pod" || event.type === "BOOKMARK") return;
      const pod = event.object as Pod;
      if (event.type === "ADDED") this.#startLater(pod, 0, this.#startMs());
      else if (event.type === "MODIFIED" && pod.metadata.deletionTimestamp !== undefined) this.#terminate(pod);
    });
  }

  /** Something in a pod's process may have changed. */
  lookAt(pod: Pod): void {
    const now = this.#now(pod);
    if (now === undefined || !this.#running.has(uidOf(pod))) return;
    const restartCount = now.status?.containerStatuses?.[0]?.restartCount ?? 0;
    this.#setStatus(now, "Running", { ready: this.#processes.ready(now), restartCount });
  }

  #startLater(pod: Pod, restarts: number, delayMs: number): void {
    this.#clock.after(delayMs, () => this.#start(pod, restarts));
  }

  #start(pod: Pod, restarts: number): void {
    const now = this.#now(pod);
    if (now === undefined || now.metadata.deletionTimestamp !== undefined) return;
    const refused = this.#processes.refused(now);
    if (refused !== undefined) {
      this.#setStatus(now, "Pending", { ready: false, restartCount: 0, state: { waiting: { reason: refused } } });
      return;
    }
    this.#running.add(uidOf(pod));
    this.#processes.start(now, (end) => this.#crashed(pod, restarts, end));
    this.#setStatus(now, "Running", { ready: this.#processes.ready(now), restartCount: restarts });
  }

  #crashed(pod: Pod, restarts: number, { exitCode, message }: ProcessEnd): void {
    const now = this.#now(pod);
    if (!this.#running.delete(uidOf(pod)) || now === undefined || this.#ending.has(uidOf(pod))) return;
    if (now.spec["restartPolicy"] === "Never") {
      const state = { terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", message } };
      return this.#setStatus(now, exitCode === 0 ? "Succeeded" : "Failed", { ready: false, restartCount: 0, state });
    }
    this.#setStatus(now, "Running", {
      ready: false,
      restartCount: restarts + 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", message } },
    });
    // The first restart comes at once, as a kubelet's does.
    const backoffMs = restarts === 0 ? this.#startMs() : Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(10, restarts - 1));
    this.#startLater(pod, restarts + 1, backoffMs);
  }

  #terminate(pod: Pod): void {
    const uid = uidOf(pod);
    if (this.#ending.has(uid)) return;
    this.#ending.add(uid);
    this.#processes.stop(pod, () => {
      this.#running.delete(uid);
      this.#ending.delete(uid);
      const now = this.#now(pod);
      if (now === undefined) return;
      const finalizers = (now.metadata.finalizers ?? []).filter((name) => name !== kubeletFinalizer);
      this.#store.update("Pod", keyOf(now), (before) => ({ ...before, metadata: { ...before.metadata, finalizers } }));
    });
  }

  #now(pod: Pod): Pod | undefined {
    const now = this.#store.get("Pod", keyOf(pod));
    return now?.metadata.uid === pod.metadata.uid ? now : undefined;
  }

  #setStatus(pod: Pod, phase: "Pending" | "Running" | "Succeeded" | "Failed", container: Omit<ContainerStatus, "name">): void {
    const { ip, restPort } = this.#processes.address(pod);
    this.#store.update("Pod", keyOf(pod), (before) => ({
      ...before,
      metadata: {
        ...before.metadata,
        annotations: { ...before.metadata.annotations, ...(restPort === undefined ? {} : { [restPortAnnotation]: String(restPort) }) },
      },
      status: {
        phase,
        podIP: ip,
        conditions: [{ type: "Ready", status: container.ready ? "True" : "False" }],
        containerStatuses: [{ name: "millrace", ...container }],
      },
    }));
  }
}

const uidOf = (pod: Pod): string => pod.metadata.uid ?? "";

/** What a pod's only container is told. */
export function podView(pod: Pod): {
  readonly image: string;
  readonly command: readonly string[];
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
} {
  const spec = pod.spec as {
    readonly containers?: readonly {
      readonly image?: string;
      readonly command?: readonly string[];
      readonly args?: readonly string[];
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
    }[];
  };
  const [container] = spec.containers ?? [];
  const variables = (container?.env ?? []).filter(({ value }) => value !== undefined);
  return {
    image: container?.image ?? "",
    command: container?.command ?? [],
    arguments: container?.args ?? [],
    environment: Object.fromEntries(variables.map(({ name, value = "" }) => [name, value])),
  };
}
