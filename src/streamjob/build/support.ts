// What a job has beside its pods: identity, permissions, the token, Services, a disruption budget and a network policy.
import { typeOf } from "../../ports/kind-table.ts";
import type { AnyObject, Secret, StreamJob } from "../../ports/objects.ts";
import { jobLabel, jobLabels, keyOfJob, restServiceName, runLabels, runName, serviceAccountName, tokenSecretName } from "../names.ts";
import { builtAnnotation, componentLabel, digest, shortName } from "../../resource/names.ts";
import { configMap } from "./config.ts";
import { ownerOf } from "./owner.ts";
import { ports, type RunPlan } from "./plan.ts";

/** Of the job, for all its runs. `leases` are the names of the runs' Leases that its JobManagers may use. */
export function jobObjects(job: StreamJob, leases: readonly string[], activeRun: number | undefined): readonly AnyObject[] {
  const name = job.metadata.name;
  const { namespace } = keyOfJob(job);
  const metadata = (objectName: string): AnyObject["metadata"] => ({
    name: objectName,
    namespace,
    labels: jobLabels(name),
    ownerReferences: [ownerOf(job)],
  });
  const account = serviceAccountName(name);
  return [
    { ...typeOf("ServiceAccount"), metadata: metadata(account), automountServiceAccountToken: false } as AnyObject,
    {
      ...typeOf("Role"),
      metadata: metadata(account),
      rules: [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: [...leases], verbs: ["get", "update", "patch"] }],
    },
    {
      ...typeOf("RoleBinding"),
      metadata: metadata(account),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: account },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }],
    },
    {
      ...typeOf("Service"),
      metadata: metadata(restServiceName(name)),
      spec: {
        selector: { ...(activeRun === undefined ? jobLabels(name) : runLabels(name, activeRun)), [componentLabel]: "jobmanager" },
        ports: [{ name: "rest", port: ports.rest, targetPort: "rest", protocol: "TCP" }],
      },
    },
    budget(job, "jobmanager"),
    budget(job, "taskmanager"),
    networkPolicy(job),
  ].map((object) => withDigest(object as AnyObject));
}

/** Of one run, beside its Deployments and its Lease. */
export function runObjects(plan: RunPlan): readonly AnyObject[] {
  const { job, run } = plan;
  const name = job.metadata.name;
  const headless: AnyObject = {
    ...typeOf("Service"),
    metadata: {
      name: runName(name, run),
      namespace: keyOfJob(job).namespace,
      labels: runLabels(name, run),
      ownerReferences: [ownerOf(job)],
    },
    spec: {
      clusterIP: "None",
      // TaskManagers look for the leader themselves.
      publishNotReadyAddresses: true,
      selector: runLabels(name, run, "jobmanager"),
      ports: [
        { name: "rpc", port: ports.rpc, targetPort: "rpc", protocol: "TCP" },
        { name: "rest", port: ports.rest, targetPort: "rest", protocol: "TCP" },
      ],
    },
  };
  return [configMap(plan), headless].map(withDigest);
}

export function tokenSecret(job: StreamJob, token: string): Secret {
  return {
    ...typeOf("Secret"),
    metadata: {
      name: tokenSecretName(job.metadata.name),
      namespace: keyOfJob(job).namespace,
      labels: jobLabels(job.metadata.name),
      ownerReferences: [ownerOf(job)],
    },
    type: "Opaque",
    data: { token: Buffer.from(token).toString("base64") },
  };
}

// One pod of a component at a time: a job restarts with each TaskManager that goes, and needs one JobManager.
function budget(job: StreamJob, component: "jobmanager" | "taskmanager"): AnyObject {
  const name = job.metadata.name;
  return {
    ...typeOf("PodDisruptionBudget"),
    metadata: {
      name: shortName(name, component),
      namespace: keyOfJob(job).namespace,
      labels: jobLabels(name),
      ownerReferences: [ownerOf(job)],
    },
    spec: {
      maxUnavailable: 1,
      // Pods that are not ready do no work: a job that is broken must not keep its node from being drained.
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: { [jobLabel]: name, [componentLabel]: component } },
    },
  };
}

function networkPolicy(job: StreamJob): AnyObject {
  const name = job.metadata.name;
  const own = { podSelector: { matchLabels: { [jobLabel]: name } } };
  return {
    ...typeOf("NetworkPolicy"),
    metadata: {
      name: shortName(name, "job"),
      namespace: keyOfJob(job).namespace,
      labels: jobLabels(name),
      ownerReferences: [ownerOf(job)],
    },
    spec: {
      podSelector: { matchLabels: { [jobLabel]: name } },
      policyTypes: ["Ingress"],
      ingress: [
        // The job's own pods; and REST with metrics from anywhere: it asks for the token.
        { from: [own] },
        { ports: [{ port: ports.rest, protocol: "TCP" }] },
      ],
    },
  };
}

/** With the digest by which an object that has changed is told. */
export function withDigest(object: AnyObject): AnyObject {
  const annotations = { ...object.metadata.annotations, [builtAnnotation]: digest(JSON.stringify(object)).slice(0, 16) };
  return { ...object, metadata: { ...object.metadata, annotations } } as AnyObject;
}
