// The pods of a run: what the operator gives them, under the restricted security profile, with the manifest's templates laid over it.
import type { PodTemplate, ResourcesSpec } from "millrace/api";
import { type Component, runLabels, runName, serviceAccountName, tokenSecretName } from "../names.ts";
import { configMapFolder } from "./config.ts";
import { ports, type RunPlan } from "./plan.ts";
import { strategicMerge } from "./strategic-merge.ts";

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

/** Enough for a last checkpoint. */
const terminationGracePeriodSeconds = 60;

export function podTemplate(plan: RunPlan, component: Component): { readonly metadata: object; readonly spec: object } {
  const { spec } = plan.revision;
  const its = component === "jobmanager" ? spec.jobManager : spec.taskManager;
  const base = ownTemplate(plan, component, its?.resources);
  const withJob = strategicMerge(base, allowedPart(spec.podTemplate));
  const merged = strategicMerge(withJob, allowedPart(its?.podTemplate)) as {
    readonly metadata: { readonly labels: object };
    readonly spec: object;
  };
  // Selectors and the operator find pods by these: no template may change them.
  const labels = { ...merged.metadata.labels, ...runLabels(plan.job.metadata.name, plan.run, component) };
  return { metadata: { ...merged.metadata, labels }, spec: merged.spec };
}

/** What a manifest's template may say of a pod. */
export const allowedPart = (template: PodTemplate | undefined): object => ({
  metadata: { labels: template?.metadata?.labels ?? {}, annotations: template?.metadata?.annotations ?? {} },
  spec: template?.spec ?? {},
});

function ownTemplate(plan: RunPlan, component: Component, resources: ResourcesSpec | undefined): object {
  const { job, run, revision } = plan;
  const name = job.metadata.name;
  const files = revision.spec.job?.configMap;
  const volumes = [
    { name: "manifest", configMap: { name: runName(name, run) } },
    { name: "token", secret: { secretName: tokenSecretName(name), defaultMode: 0o440 } },
    { name: "work", emptyDir: {} },
    ...(files === undefined ? [] : [{ name: "job", configMap: { name: files } }]),
  ];
  return {
    metadata: { labels: {}, annotations: {} },
    spec: {
      serviceAccountName: serviceAccountName(name),
      // Only JobManagers speak to the API server: for their Lease.
      automountServiceAccountToken: component === "jobmanager",
      enableServiceLinks: false,
      terminationGracePeriodSeconds,
      securityContext: restrictedPod,
      affinity: spread(name, run, component),
      containers: [
        {
          name: "millrace",
          image: revision.spec.image,
          args: argumentsOf(component),
          env: environment(plan, component),
          ports: [
            { name: "rest", containerPort: ports.rest },
            { name: "rpc", containerPort: ports.rpc },
            ...(component === "taskmanager" ? [{ name: "exchange", containerPort: ports.exchange }] : []),
          ],
          ...probes(),
          resources: resourcesOf(resources),
          securityContext: restrictedContainer,
          volumeMounts: [
            { name: "manifest", mountPath: "/etc/millrace", readOnly: true },
            { name: "token", mountPath: "/var/run/secrets/millrace", readOnly: true },
            { name: "work", mountPath: "/tmp" },
            ...(files === undefined ? [] : [{ name: "job", mountPath: configMapFolder, readOnly: true }]),
          ],
        },
      ],
      volumes,
    },
  };
}

/** What the restricted security profile asks for. */
export const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  fsGroup: 1000,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
} as const;
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;

const argumentsOf = (component: Component): readonly string[] => [
  ...[component, "-f", "/etc/millrace/job.yaml", "--host", "0.0.0.0", "--port", String(ports.rest), "--log", "json"],
  ...(component === "jobmanager" ? ["--rpc-port", String(ports.rpc)] : ["--exchange-port", String(ports.exchange)]),
];

function environment(plan: RunPlan, component: Component): readonly Variable[] {
  const { job, run, restore, standby } = plan;
  const field = (name: string, fieldPath: string): Variable => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const shared: readonly Variable[] = [
    { name: "MILLRACE_JOB", value: job.metadata.name },
    { name: "MILLRACE_NAMESPACE", value: job.metadata.namespace ?? "" },
    { name: "MILLRACE_RUN", value: String(run) },
    { name: "MILLRACE_TOKEN_FILE", value: "/var/run/secrets/millrace/token" },
    ...(standby ? [{ name: "MILLRACE_STANDBY", value: "1" }] : []),
    field("MILLRACE_POD_NAME", "metadata.name"),
    field("MILLRACE_POD_IP", "status.podIP"),
  ];
  const name = runName(job.metadata.name, run);
  if (component === "taskmanager") {
    return [
      ...shared,
      { name: "MILLRACE_JOBMANAGERS", value: `${name}:${ports.rpc}` },
      { name: "MILLRACE_SLOTS", value: String(plan.slots) },
    ];
  }
  const point: readonly Variable[] =
    standby || restore === undefined
      ? []
      : [
          { name: "MILLRACE_RESTORE_SINCE_RUN", value: String(restore.sinceRun) },
          ...(restore.location === undefined ? [] : [{ name: "MILLRACE_RESTORE_LOCATION", value: restore.location }]),
        ];
  return [...shared, { name: "MILLRACE_LEASE", value: name }, ...point];
}

export const probes = (): object => ({
  startupProbe: { httpGet: { path: "/healthz", port: "rest" }, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 120 },
  livenessProbe: { httpGet: { path: "/healthz", port: "rest" }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  readinessProbe: { httpGet: { path: "/readyz", port: "rest" }, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3 },
});

export function resourcesOf(resources: ResourcesSpec = {}): object {
  const { cpu, memory, ephemeralStorage } = resources;
  const limits = {
    ...(memory === undefined ? {} : { memory }),
    ...(ephemeralStorage === undefined ? {} : { "ephemeral-storage": ephemeralStorage }),
  };
  // A limit of CPU would make pauses out of bursts.
  return { requests: { ...(cpu === undefined ? {} : { cpu }), ...limits }, limits };
}

// Pods of one component on different nodes, where there are some.
const spread = (job: string, run: number, component: Component): object => ({
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 50,
        podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: runLabels(job, run, component) } },
      },
    ],
  },
});
