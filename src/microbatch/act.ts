// Carries out one step for a MicroBatchJob. Each of them may be carried out twice: whoever died after it does it again.
import type { ObjectCache } from "../controller/object-cache.ts";
import type { DriverAddress, DriverClient } from "../ports/driver-client.ts";
import type { Machine } from "../ports/machine.ts";
import type { AnyObject, MicroBatchJob } from "../ports/objects.ts";
import { createOnce, deleteAll, markResource } from "../resource/act.ts";
import { cachedReader } from "../resource/reader.ts";
import type { Cluster } from "../ports/cluster.ts";
import { batchTokenSecret } from "./build/support.ts";
import { batchFinalizer, keyOfBatchJob } from "./names.ts";
import { addressOfDriver } from "./observe.ts";
import type { BatchPodSeen } from "./observed.ts";
import { batchRevisionObject } from "./revision.ts";
import type { BatchStep } from "./step.ts";

export interface BatchActParts {
  readonly cluster: Cluster;
  readonly cache: ObjectCache;
  readonly driver: DriverClient;
  readonly machine: Machine;
}

export async function carryOut(step: BatchStep, job: MicroBatchJob, pods: readonly BatchPodSeen[], parts: BatchActParts): Promise<void> {
  const { cluster, cache, driver, machine } = parts;
  const key = keyOfBatchJob(job);
  const apply = async (object: AnyObject): Promise<void> => cache.wrote(await cluster.apply(object));
  const reached = (run: number): Promise<DriverAddress | undefined> => {
    const pod = pods.find((one) => one.run === run && one.component === "driver");
    return pod === undefined ? Promise.resolve(undefined) : addressOfDriver(job, pod, cachedReader(cache, "MicroBatchJob"));
  };
  switch (step.kind) {
    case "wait":
      return;
    case "addFinalizer":
    case "removeFinalizer":
      return markResource(cluster, job, { kind: step.kind, finalizer: batchFinalizer });
    case "dropAnnotation":
      return markResource(cluster, job, step);
    case "createToken":
      return createOnce(cluster, cache, batchTokenSecret(job, machine.secret()));
    case "createRevision":
      return createOnce(cluster, cache, batchRevisionObject(job, step.revision));
    case "createDriver":
      return createOnce(cluster, cache, step.object);
    case "apply":
      await Promise.all(step.objects.map(apply));
      return;
    case "delete":
      return deleteAll(parts, key.namespace, step.targets, ["Pod"]);
    case "stopWithSavepoint": {
      const address = await reached(step.run);
      if (address !== undefined) await driver.stopWithSavepoint(address, step.id);
      return;
    }
    case "stop": {
      const address = await reached(step.run);
      if (address !== undefined) await driver.stop(address, step.mode);
      return;
    }
    case "deleteSelf":
      return cluster.delete("MicroBatchJob", key, { uid: job.metadata.uid ?? "" });
  }
}
