// The executors of a run: any of them may go at any time, its tasks are done by another; so a Deployment.
import { typeOf } from "../../ports/kind-table.ts";
import type { Deployment } from "../../ports/objects.ts";
import { ownerOf } from "../../streamjob/build/owner.ts";
import { builtAnnotation, digest } from "../../resource/names.ts";
import { batchRunLabels, executorsName, keyOfBatchJob } from "../names.ts";
import { executorTemplate } from "./pods.ts";
import type { BatchPlan } from "./plan.ts";

/** Within a run nothing but their number changes. */
export const executorsBuiltFrom = ({ run }: BatchPlan): string => digest(`executors of run ${run}`).slice(0, 16);

export function executorsDeployment(plan: BatchPlan): Deployment {
  const { job, run } = plan;
  const name = job.metadata.name;
  return {
    ...typeOf("Deployment"),
    metadata: {
      name: executorsName(name, run),
      namespace: keyOfBatchJob(job).namespace,
      labels: batchRunLabels(name, run, "executor"),
      annotations: { [builtAnnotation]: executorsBuiltFrom(plan) },
      ownerReferences: [ownerOf(job)],
    },
    spec: {
      replicas: plan.executors ?? 0,
      revisionHistoryLimit: 0,
      selector: { matchLabels: batchRunLabels(name, run, "executor") },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: executorTemplate(plan),
    },
  };
}
