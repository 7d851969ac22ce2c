// The pods of a run: the driver, and the template of the executors, under the restricted security profile, with the manifest's templates laid over it.
import type { PodTemplate, ResourcesSpec } from "millrace/api";
import { typeOf } from "../../ports/kind-table.ts";
import type { Pod } from "../../ports/objects.ts";
import { configMapFolder } from "../../streamjob/build/config.ts";
import { ownerOf } from "../../streamjob/build/owner.ts";
import { allowedPart, probes, resourcesOf, restrictedContainer, restrictedPod, type Variable } from "../../streamjob/build/pod-template.ts";
import { strategicMerge } from "../../streamjob/build/strategic-merge.ts";
import {
  type BatchComponent,
  batchAccountName,
  batchRunLabels,
  batchRunName,
  batchTokenName,
  driverName,
  keyOfBatchJob,
} from "../names.ts";
import { batchPorts, type BatchPlan } from "./plan.ts";

/**
 * A pod and no Deployment: a run that has ended must not be started again by anybody but the operator, which counts failures and waits. Its
 * name is the run's, so there is one driver of a run; drivers of earlier runs are fenced by the number of theirs.
 */
export function driverPodOf(plan: BatchPlan): Pod {
  const { job, run, revision } = plan;
  const { metadata, spec } = merged(plan, "driver", revision.spec.driver?.resources, revision.spec.driver?.podTemplate, {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: Math.ceil(plan.stopGraceMs / 1000),
  });
  return {
    ...typeOf("Pod"),
    metadata: {
      ...metadata,
      name: driverName(job.metadata.name, run),
      namespace: keyOfBatchJob(job).namespace,
      ownerReferences: [ownerOf(job)],
    },
    spec,
  };
}

export function executorTemplate(plan: BatchPlan): { readonly metadata: object; readonly spec: object } {
  const { executors } = plan.revision.spec;
  return merged(plan, "executor", executors?.resources, executors?.podTemplate, {
    terminationGracePeriodSeconds: Math.ceil(plan.decommissionMs / 1000) + 10,
  });
}

interface Template {
  readonly metadata: { readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: Pod["spec"];
}

function merged(
  plan: BatchPlan,
  component: BatchComponent,
  resources: ResourcesSpec | undefined,
  template: PodTemplate | undefined,
  more: object,
): Template {
  const base = ownTemplate(plan, component, resources, more);
  const withJob = strategicMerge(base, allowedPart(plan.revision.spec.podTemplate));
  const { metadata, spec } = strategicMerge(withJob, allowedPart(template)) as Template;
  // Selectors and the operator find pods by these: no template may change them.
  return {
    metadata: { ...metadata, labels: { ...metadata.labels, ...batchRunLabels(plan.job.metadata.name, plan.run, component) } },
    spec,
  };
}

function ownTemplate(plan: BatchPlan, component: BatchComponent, resources: ResourcesSpec | undefined, more: object): object {
  const name = plan.job.metadata.name;
  const files = plan.revision.spec.job?.configMap;
  return {
    metadata: { labels: {}, annotations: {} },
    spec: {
      serviceAccountName: batchAccountName(name),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restrictedPod,
      ...more,
      containers: [
        {
          name: "millrace",
          image: plan.revision.spec.image,
          args: argumentsOf(component),
          env: environment(plan, component),
          ports: [
            { name: "rest", containerPort: batchPorts.rest },
            component === "driver"
              ? { name: "rpc", containerPort: batchPorts.rpc }
              : { name: "exchange", containerPort: batchPorts.exchange },
          ],
          ...probes(),
          resources: resourcesOf(resources),
          securityContext: restrictedContainer,
          terminationMessagePolicy: "FallbackToLogsOnError",
          volumeMounts: [
            { name: "manifest", mountPath: "/etc/millrace", readOnly: true },
            { name: "token", mountPath: "/var/run/secrets/millrace", readOnly: true },
            { name: "work", mountPath: "/tmp" },
            ...(files === undefined ? [] : [{ name: "job", mountPath: configMapFolder, readOnly: true }]),
          ],
        },
      ],
      volumes: [
        { name: "manifest", configMap: { name: batchRunName(name, plan.run) } },
        { name: "token", secret: { secretName: batchTokenName(name), defaultMode: 0o440 } },
        { name: "work", emptyDir: {} },
        ...(files === undefined ? [] : [{ name: "job", configMap: { name: files } }]),
      ],
    },
  };
}

const argumentsOf = (component: BatchComponent): readonly string[] => [
  ...[component, "-f", "/etc/millrace/job.yaml", "--host", "0.0.0.0", "--port", String(batchPorts.rest), "--log", "json"],
];

function environment({ job, run, restore, slots, decommissionMs }: BatchPlan, component: BatchComponent): readonly Variable[] {
  const field = (name: string, fieldPath: string): Variable => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const name = job.metadata.name;
  return [
    { name: "MILLRACE_JOB", value: name },
    { name: "MILLRACE_NAMESPACE", value: job.metadata.namespace ?? "" },
    { name: "MILLRACE_RUN", value: String(run) },
    { name: "MILLRACE_TOKEN_FILE", value: "/var/run/secrets/millrace/token" },
    field("MILLRACE_POD_NAME", "metadata.name"),
    field("MILLRACE_POD_IP", "status.podIP"),
    ...(component === "executor"
      ? [
          { name: "MILLRACE_DRIVER", value: `${batchRunName(name, run)}:${batchPorts.rpc}` },
          { name: "MILLRACE_SLOTS", value: String(slots) },
          { name: "MILLRACE_DECOMMISSION_MS", value: String(decommissionMs) },
        ]
      : [
          { name: "MILLRACE_TERMINATION_LOG", value: "/dev/termination-log" },
          { name: "MILLRACE_RESTORE_SINCE_RUN", value: String(restore.sinceRun) },
          ...(restore.location === undefined ? [] : [{ name: "MILLRACE_RESTORE_LOCATION", value: restore.location }]),
        ]),
  ];
}
