// The manifest as a run's pods read it, in a ConfigMap; and the Lease by which the run's JobManagers choose their leader.
import { posix } from "node:path";
import type { StreamJobManifest, StreamJobSpec } from "millrace/api";
import { typeOf } from "../../ports/kind-table.ts";
import type { ConfigMap, Lease } from "../../ports/objects.ts";
import { keyOfJob, runLabels, runName } from "../names.ts";
import { canonical } from "../revision.ts";
import { ownerOf } from "./owner.ts";
import type { RunPlan } from "./plan.ts";

/** Where images have the job's files, and where a ConfigMap's files are put. */
export const imageFolder = "/app";
export const configMapFolder = "/app/job";

export function manifestOf(plan: RunPlan): StreamJobManifest {
  const { job, revision, parallelism } = plan;
  // Only what the runtime reads: what the operator alone follows may change while the run goes on.
  const { image: _image, podTemplate: _pods, jobManager: _managers, taskManager: _tasks, ...spec } = revision.spec;
  const from = revision.spec.job?.configMap === undefined ? imageFolder : configMapFolder;
  const module = posix.resolve(from, revision.spec.job?.module ?? "");
  return {
    apiVersion: "millrace.dev/v1alpha1",
    kind: "StreamJob",
    metadata: { name: job.metadata.name, namespace: job.metadata.namespace ?? "" },
    spec: { ...spec, job: { ...spec.job, module }, parallelism } as StreamJobSpec,
  };
}

export function configMap(plan: RunPlan): ConfigMap {
  const { job, run } = plan;
  return {
    ...typeOf("ConfigMap"),
    metadata: {
      name: runName(job.metadata.name, run),
      namespace: keyOfJob(job).namespace,
      labels: runLabels(job.metadata.name, run),
      ownerReferences: [ownerOf(job)],
    },
    // JSON is YAML; in one order, for a revision that was read back may have another.
    data: { "job.yaml": `${canonical(manifestOf(plan))}\n` },
  };
}

/** Without a spec: that is the JobManagers' to write. */
export function lease({ job, run }: Pick<RunPlan, "job" | "run">, annotations: Readonly<Record<string, string>> = {}): Lease {
  return {
    ...typeOf("Lease"),
    metadata: {
      name: runName(job.metadata.name, run),
      namespace: keyOfJob(job).namespace,
      labels: runLabels(job.metadata.name, run),
      annotations,
      ownerReferences: [ownerOf(job)],
    },
  };
}
