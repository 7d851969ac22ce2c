// The Deployments of a run. Leadership is a Lease's and TaskManagers are fenced by epochs, so a pod of a lost node may be replaced at once; a StatefulSet would wait.
import { typeOf } from "../../ports/kind-table.ts";
import type { Deployment } from "../../ports/objects.ts";
import { type Component, keyOfJob, runLabels, workloadName } from "../names.ts";
import { builtAnnotation, digest } from "../../resource/names.ts";
import { canonical } from "../revision.ts";
import { ownerOf } from "./owner.ts";
import type { RunPlan } from "./plan.ts";
import { podTemplate } from "./pod-template.ts";

/**
 * What the pods are made of, as a digest: of the decisions, not of the template that this version of the operator makes from them, so that
 * another version of the operator rolls no pods.
 */
export function builtFrom(plan: RunPlan, component: Component): string {
  const { run, revision, standby, restore, slots } = plan;
  const its = component === "jobmanager" ? { jobManager: revision.spec.jobManager, restore } : { slots };
  // Within a run only what may be rolled changes; the rest is the run's.
  return digest(canonical({ run, standby, ...its })).slice(0, 16);
}

export function deployment(plan: RunPlan, component: Component): Deployment {
  const { job, run } = plan;
  const name = job.metadata.name;
  const manager = component === "jobmanager";
  return {
    ...typeOf("Deployment"),
    metadata: {
      name: workloadName(name, run, component),
      namespace: keyOfJob(job).namespace,
      labels: runLabels(name, run, component),
      annotations: { [builtAnnotation]: builtFrom(plan, component) },
      ownerReferences: [ownerOf(job)],
    },
    spec: {
      replicas: manager ? plan.jobManagers : plan.taskManagers,
      revisionHistoryLimit: 0,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: runLabels(name, run, component) },
      // A JobManager is replaced without a restart of the job; one is there at any time.
      strategy: {
        type: "RollingUpdate",
        rollingUpdate: manager ? { maxSurge: 1, maxUnavailable: 0 } : { maxSurge: "25%", maxUnavailable: "25%" },
      },
      template: podTemplate(plan, component),
    },
  };
}
