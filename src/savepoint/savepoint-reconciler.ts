// The loop of a Savepoint: asks the job for it, waits for the result, and disposes of the files when the resource goes and its policy says so.
import { isDeepStrictEqual } from "node:util";
import type { SavepointStatus } from "millrace/api";
import type { Reconciled } from "../controller/controller.ts";
import type { EventRecorder } from "../controller/event-recorder.ts";
import type { ObjectCache } from "../controller/object-cache.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, ObjectKey } from "../ports/cluster.ts";
import { isRefused, isUnreachable, type JobAddress, type JobClient, type JobReport, type SavepointReport } from "../ports/job-client.ts";
import { messageOf, type Machine } from "../ports/machine.ts";
import type { Pod, Savepoint, StreamJob } from "../ports/objects.ts";
import { addressOf, podSeen } from "../streamjob/observe.ts";
import { cachedReader } from "../resource/reader.ts";
import { decideSavepoint, savepointFinalizer, type SavepointSeen } from "./decide-savepoint.ts";
import { disposalPod, disposalPodName } from "./disposal-pod.ts";
import { isReferenced } from "./references.ts";

export interface SavepointParts {
  readonly cluster: Cluster;
  readonly cache: ObjectCache;
  readonly client: JobClient;
  readonly machine: Machine;
  readonly events: EventRecorder;
}

const maxSteps = 12;

export class SavepointReconciler {
  readonly #parts: SavepointParts;

  constructor(parts: SavepointParts) {
    this.#parts = parts;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Reconciled> {
    const { cluster, cache, events } = this.#parts;
    const [namespace = "", name = ""] = key.split("/");
    const cached = cache.get("Savepoint", { namespace, name });
    if (cached === undefined || isSettled(cached)) return {};
    let savepoint = await cluster.get("Savepoint", { namespace, name });
    let terminating = false;
    for (let steps = 0; savepoint !== undefined && steps < maxSteps && !signal.aborted; steps++) {
      const seen: SavepointSeen = { ...(await this.#observe(savepoint)), terminating };
      const decision = decideSavepoint(seen);
      if (!isDeepStrictEqual(decision.status, savepoint.status ?? {})) {
        const written: Savepoint = await cluster.replaceStatus({ ...savepoint, status: decision.status });
        cache.wrote(written);
        if (decision.event !== undefined) events.record(written, decision.event);
        savepoint = written;
        continue;
      }
      const { step } = decision;
      if (step.kind === "wait") return decision.againAfterMs === undefined ? {} : { requeueAfterMs: decision.againAfterMs };
      await this.#act(step, savepoint, seen).catch((error: unknown) => {
        if (!isClusterError(error, "terminating")) throw error;
        terminating = true;
      });
      if (step.kind === "startSavepoint") return { requeueAfterMs: 250 };
      savepoint = await cluster.get("Savepoint", { namespace, name });
    }
    return { requeueAfterMs: 500 };
  }

  async #act(step: ReturnType<typeof decideSavepoint>["step"], savepoint: Savepoint, seen: SavepointSeen): Promise<void> {
    const { cluster, client } = this.#parts;
    const key = { namespace: savepoint.metadata.namespace ?? "", name: savepoint.metadata.name };
    const resourceVersion = savepoint.metadata.resourceVersion ?? "";
    const finalizers = savepoint.metadata.finalizers ?? [];
    switch (step.kind) {
      case "wait":
        return;
      case "addFinalizer":
        return cluster.patchMetadata("Savepoint", key, { resourceVersion, finalizers: [...finalizers, savepointFinalizer] });
      case "removeFinalizer":
        await cluster.delete("Pod", { namespace: key.namespace, name: disposalPodName(savepoint) });
        return cluster.patchMetadata("Savepoint", key, {
          resourceVersion,
          finalizers: finalizers.filter((one) => one !== savepointFinalizer),
        });
      case "startDisposal":
        // Whoever died after it made it already.
        await cluster.create(disposalPod(savepoint)).catch((error: unknown) => {
          if (!isClusterError(error, "exists")) throw error;
        });
        return;
      case "startSavepoint": {
        if (seen.address === undefined) return;
        // Refused or unheard: the next look says what became of it.
        await client.startSavepoint(seen.address, step.id, "keep").catch((error: unknown) => {
          if (!isRefused(error) && !isUnreachable(error)) throw error;
        });
      }
    }
  }

  async #observe(savepoint: Savepoint): Promise<Omit<SavepointSeen, "terminating">> {
    const { cluster, cache, client, machine } = this.#parts;
    const { namespace = "" } = savepoint.metadata;
    const key: ObjectKey = { namespace, name: savepoint.spec.job };
    const job = await cluster.get("StreamJob", key);
    const run = job?.status?.active?.run;
    const { savepointId, phase } = savepoint.status ?? {};
    const deleting = savepoint.metadata.deletionTimestamp !== undefined;
    const asks = !deleting && savepoint.spec.location === undefined && phase !== "Completed" && phase !== "Failed";
    const address = asks && job !== undefined && run !== undefined ? await this.#address(job, run) : undefined;
    const report = address === undefined ? undefined : await quietly<JobReport>(() => client.report(address));
    const taken =
      address === undefined || savepointId === undefined ? undefined : await asked(() => client.savepoint(address, savepointId));
    const pod: Pod | undefined = deleting ? await cluster.get("Pod", { namespace, name: disposalPodName(savepoint) }) : undefined;
    return {
      nowMs: machine.clock.now(),
      savepoint,
      job,
      address,
      running: report?.state === "running" && report.run === run,
      taken,
      disposal: pod?.status?.phase,
      disposalMessage: pod?.status?.containerStatuses?.[0]?.state?.terminated?.message,
      referenced: deleting && isReferenced(savepoint, cache),
    };
  }

  #address(job: StreamJob, run: number): Promise<JobAddress | undefined> {
    const { cache } = this.#parts;
    const key = { namespace: job.metadata.namespace ?? "", name: job.metadata.name };
    return addressOf(job, run, cache.ofJob("Pod", key).map(podSeen), cachedReader(cache, "StreamJob"));
  }
}

/** Nothing more will happen to it unless somebody changes it. */
function isSettled({ metadata, status, spec }: Savepoint): boolean {
  const done = status?.phase === "Completed" || status?.phase === "Failed";
  const guarded = metadata.finalizers?.includes(savepointFinalizer) === true;
  const statusSeen: SavepointStatus = status ?? {};
  return (
    metadata.deletionTimestamp === undefined &&
    done &&
    statusSeen.observedGeneration === metadata.generation &&
    guarded === (spec.disposal === "Delete")
  );
}

async function quietly<T>(request: () => Promise<T>): Promise<T | undefined> {
  return request().catch((error: unknown) => {
    if (isUnreachable(error) || isRefused(error)) return undefined;
    throw error;
  });
}

async function asked(request: () => Promise<SavepointReport | undefined>): Promise<SavepointSeen["taken"]> {
  try {
    return { known: true, report: await request() };
  } catch (error) {
    if (isUnreachable(error) || isRefused(error)) return { known: false, reason: messageOf(error) };
    throw error;
  }
}
