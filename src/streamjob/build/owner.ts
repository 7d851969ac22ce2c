// The reference by which a job's objects go when it goes.
import type { KubeObject, OwnerReference } from "../../ports/objects.ts";

export function ownerOf(job: KubeObject): OwnerReference {
  return {
    apiVersion: job.apiVersion,
    kind: job.kind,
    name: job.metadata.name,
    uid: job.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}
