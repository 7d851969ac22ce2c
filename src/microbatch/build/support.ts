// What a MicroBatchJob has beside its pods: identity, the token, Services, the manifest that pods read, and a network policy.
import { posix } from "node:path";
import type { MicroBatchJobManifest, MicroBatchJobSpec } from "millrace/api";
import { typeOf } from "../../ports/kind-table.ts";
import type { AnyObject, ConfigMap, MicroBatchJob, ObjectMeta, Secret } from "../../ports/objects.ts";
import { configMapFolder, imageFolder } from "../../streamjob/build/config.ts";
import { ownerOf } from "../../streamjob/build/owner.ts";
import { withDigest } from "../../streamjob/build/support.ts";
import { canonical } from "../../streamjob/revision.ts";
import { batchAccountName, batchLabels, batchRestName, batchRunLabels, batchRunName, batchTokenName, keyOfBatchJob } from "../names.ts";
import { batchPorts, type BatchPlan } from "./plan.ts";

const metadataOf = (job: MicroBatchJob, name: string, labels = batchLabels(job.metadata.name)): ObjectMeta => ({
  ...{ name, namespace: keyOfBatchJob(job).namespace, labels, ownerReferences: [ownerOf(job)] },
});

/** Of the job, for all its runs. */
export function batchJobObjects(job: MicroBatchJob, run: number): readonly AnyObject[] {
  const name = job.metadata.name;
  const pods = { matchLabels: batchLabels(name) };
  return [
    { ...typeOf("ServiceAccount"), metadata: metadataOf(job, batchAccountName(name)), automountServiceAccountToken: false } as AnyObject,
    {
      ...typeOf("Service"),
      metadata: metadataOf(job, batchRestName(name)),
      spec: {
        selector: batchRunLabels(name, run, "driver"),
        ports: [{ name: "rest", port: batchPorts.rest, targetPort: "rest", protocol: "TCP" }],
      },
    },
    {
      ...typeOf("NetworkPolicy"),
      metadata: metadataOf(job, batchAccountName(name)),
      spec: {
        podSelector: pods,
        policyTypes: ["Ingress"],
        // The job's own pods; and REST with metrics from anywhere: it asks for the token.
        ingress: [{ from: [{ podSelector: pods }] }, { ports: [{ port: batchPorts.rest, protocol: "TCP" }] }],
      },
    },
  ].map((object) => withDigest(object as AnyObject));
}

/** Of one run, beside its pods. */
export function batchRunObjects(plan: BatchPlan): readonly AnyObject[] {
  const { job, run } = plan;
  const name = job.metadata.name;
  const labels = batchRunLabels(name, run);
  const headless: AnyObject = {
    ...typeOf("Service"),
    metadata: metadataOf(job, batchRunName(name, run), labels),
    spec: {
      clusterIP: "None",
      // Executors wait for it anyway.
      publishNotReadyAddresses: true,
      selector: batchRunLabels(name, run, "driver"),
      ports: [
        { name: "rpc", port: batchPorts.rpc, targetPort: "rpc", protocol: "TCP" },
        { name: "rest", port: batchPorts.rest, targetPort: "rest", protocol: "TCP" },
      ],
    },
  };
  const config: ConfigMap = {
    ...typeOf("ConfigMap"),
    metadata: metadataOf(job, batchRunName(name, run), labels),
    // JSON is YAML; in one order, for a revision that was read back may have another.
    data: { "job.yaml": `${canonical(manifestOf(plan))}\n` },
  };
  return [config, headless].map(withDigest);
}

export function manifestOf({ job, revision }: BatchPlan): MicroBatchJobManifest {
  // Only what the runtime reads: what the operator alone follows may change while the run goes on.
  const { image: _image, podTemplate: _pods, driver: _driver, executors, ...spec } = revision.spec;
  const { resources: _resources, podTemplate: _template, min: _min, ...how } = executors ?? {};
  const from = spec.job?.configMap === undefined ? imageFolder : configMapFolder;
  const module = posix.resolve(from, spec.job?.module ?? "");
  return {
    apiVersion: "millrace.dev/v1alpha1",
    kind: "MicroBatchJob",
    metadata: { name: job.metadata.name, namespace: job.metadata.namespace ?? "" },
    spec: { ...spec, job: { ...spec.job, module }, ...(Object.keys(how).length === 0 ? {} : { executors: how }) } as MicroBatchJobSpec,
  };
}

export function batchTokenSecret(job: MicroBatchJob, token: string): Secret {
  return {
    ...typeOf("Secret"),
    metadata: metadataOf(job, batchTokenName(job.metadata.name)),
    type: "Opaque",
    data: { token: Buffer.from(token).toString("base64") },
  };
}
