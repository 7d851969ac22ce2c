// Carries out one step. Each of them may be carried out twice: whoever died after it does it again.
import type { ObjectCache } from "../controller/object-cache.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";
import type { JobClient } from "../ports/job-client.ts";
import type { Machine } from "../ports/machine.ts";
import type { AnyObject, Deployment, Lease, StreamJob } from "../ports/objects.ts";
import { lease } from "./build/config.ts";
import { tokenSecret } from "./build/support.ts";
import { startAnnotations } from "./desired.ts";
import { builtAnnotation, finalizer, keyOfJob } from "./names.ts";
import { addressOf } from "./observe.ts";
import type { PodSeen } from "./observed.ts";
import { cachedReader } from "./reader.ts";
import { revisionObject } from "./revision.ts";
import type { Step } from "./step.ts";

export interface ActParts {
  readonly cluster: Cluster;
  readonly cache: ObjectCache;
  readonly client: JobClient;
  readonly machine: Machine;
}

export async function carryOut(step: Step, job: StreamJob, pods: readonly PodSeen[], parts: ActParts): Promise<void> {
  const { cluster, cache, client, machine } = parts;
  const key = keyOfJob(job);
  const { namespace } = key;
  const resourceVersion = job.metadata.resourceVersion ?? "";
  const finalizers = job.metadata.finalizers ?? [];
  const apply = async (object: AnyObject): Promise<void> => cache.wrote(await cluster.apply(object));
  switch (step.kind) {
    case "wait":
      return;
    case "addFinalizer":
      return cluster.patchMetadata("StreamJob", key, { resourceVersion, finalizers: [...finalizers, finalizer] });
    case "removeFinalizer":
      return cluster.patchMetadata("StreamJob", key, { resourceVersion, finalizers: finalizers.filter((name) => name !== finalizer) });
    case "dropAnnotation":
      return cluster.patchMetadata("StreamJob", key, { resourceVersion, annotations: { [step.name]: null } });
    case "createToken":
      return createOnce(cluster, cache, tokenSecret(job, machine.secret()));
    case "createRevision":
      return createOnce(cluster, cache, revisionObject(job, step.revision));
    case "apply":
      // What pods need is there before they are.
      await Promise.all(step.objects.filter(({ kind }) => kind !== "Deployment").map(apply));
      await Promise.all(
        step.objects
          .filter((object): object is Deployment => object.kind === "Deployment")
          .map(async (object) => apply(await withTheirTemplate(cluster, object))),
      );
      return;
    case "delete":
      for (const { kind, name, uid } of step.targets) {
        await cluster.delete(kind, { namespace, name }, uid === "" ? {} : { uid });
        // Savepoints have a finalizer and stay a while.
        if (uid !== "" && kind !== "Savepoint") cache.deleted(uid);
      }
      return;
    case "startRun": {
      // The order is kept before anybody hears it.
      const order: Lease = lease({ job, run: step.run }, startAnnotations(step.run, step.restore));
      await apply(order);
      const address = await addressOf(job, step.run, pods, cachedReader(cache));
      if (address !== undefined) await client.start(address, step.restore);
      return;
    }
    case "startSavepoint": {
      const address = await addressOf(job, step.run, pods, cachedReader(cache));
      if (address !== undefined) await client.startSavepoint(address, step.id, step.mode);
      return;
    }
    case "rescale": {
      const address = await addressOf(job, step.run, pods, cachedReader(cache));
      if (address !== undefined) await client.rescale(address, step.parallelism);
      return;
    }
    case "createSavepoint":
    case "recordSavepoint":
      return createOnce(cluster, cache, step.object);
  }
}

/** Made once: whoever finds it there made it before it died, or before the answer was lost. */
export async function createOnce(cluster: Cluster, cache: ObjectCache, object: AnyObject): Promise<void> {
  try {
    cache.wrote(await cluster.create(object));
  } catch (error) {
    if (!isClusterError(error, "exists")) throw error;
    const there = await cluster.get(object.kind as "Secret", keyOfObject(object));
    if (there !== undefined) cache.wrote(there);
  }
}

/** Pods that are there are not made anew by a newer operator, nor by a change of their number: their template is left as it is. */
async function withTheirTemplate(cluster: Cluster, wanted: Deployment): Promise<Deployment> {
  const there = await cluster.get("Deployment", keyOfObject(wanted));
  if (there === undefined || there.metadata.annotations?.[builtAnnotation] !== wanted.metadata.annotations?.[builtAnnotation])
    return wanted;
  return { ...wanted, spec: { ...wanted.spec, template: there.spec["template"] } };
}

const keyOfObject = ({ metadata }: AnyObject): { readonly namespace: string; readonly name: string } => ({
  namespace: metadata.namespace ?? "",
  name: metadata.name,
});
