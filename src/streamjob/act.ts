// Carries out one step. Each of them may be carried out twice: whoever died after it does it again.
import type { ObjectCache } from "../controller/object-cache.ts";
import type { JobClient } from "../ports/job-client.ts";
import type { Machine } from "../ports/machine.ts";
import type { AnyObject, Deployment, Lease, StreamJob } from "../ports/objects.ts";
import { createOnce, deleteAll, keyOfObject, markResource } from "../resource/act.ts";
import { cachedReader } from "../resource/reader.ts";
import type { Cluster } from "../ports/cluster.ts";
import { lease } from "./build/config.ts";
import { tokenSecret } from "./build/support.ts";
import { startAnnotations } from "./desired.ts";
import { finalizer, keyOfJob } from "./names.ts";
import { builtAnnotation } from "../resource/names.ts";
import { addressOf } from "./observe.ts";
import type { PodSeen } from "./observed.ts";
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
  const { namespace } = keyOfJob(job);
  const apply = async (object: AnyObject): Promise<void> => cache.wrote(await cluster.apply(object));
  switch (step.kind) {
    case "wait":
      return;
    case "addFinalizer":
    case "removeFinalizer":
      return markResource(cluster, job, { kind: step.kind, finalizer });
    case "dropAnnotation":
      return markResource(cluster, job, step);
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
      // Savepoints have a finalizer and stay a while.
      return deleteAll(parts, namespace, step.targets, ["Savepoint"]);
    case "startRun": {
      // The order is kept before anybody hears it.
      const order: Lease = lease({ job, run: step.run }, startAnnotations(step.run, step.restore));
      await apply(order);
      const address = await addressOf(job, step.run, pods, cachedReader(cache, "StreamJob"));
      if (address !== undefined) await client.start(address, step.restore);
      return;
    }
    case "startSavepoint": {
      const address = await addressOf(job, step.run, pods, cachedReader(cache, "StreamJob"));
      if (address !== undefined) await client.startSavepoint(address, step.id, step.mode);
      return;
    }
    case "rescale": {
      const address = await addressOf(job, step.run, pods, cachedReader(cache, "StreamJob"));
      if (address !== undefined) await client.rescale(address, step.parallelism);
      return;
    }
    case "createSavepoint":
    case "recordSavepoint":
      return createOnce(cluster, cache, step.object);
  }
}

/** Pods that are there are not made anew by a newer operator, nor by a change of their number: their template is left as it is. */
async function withTheirTemplate(cluster: Cluster, wanted: Deployment): Promise<Deployment> {
  const there = await cluster.get("Deployment", keyOfObject(wanted));
  if (there === undefined || there.metadata.annotations?.[builtAnnotation] !== wanted.metadata.annotations?.[builtAnnotation])
    return wanted;
  return { ...wanted, spec: { ...wanted.spec, template: there.spec["template"] } };
}
