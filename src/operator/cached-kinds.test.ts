// What the copies of objects leave out, and that what is read of them is still there.
import { expect, test } from "vitest";
import { typeOf } from "../ports/kind-table.ts";
import type { AnyObject, Kind, Pod, StreamJob } from "../ports/objects.ts";
import { podSeen } from "../streamjob/observe.ts";
import { cachedKinds } from "./cached-kinds.ts";

function copyOf<T extends AnyObject>(object: T): T {
  const kind = object.kind as Kind;
  return (cachedKinds([])
    .find((one) => one.kind === kind)
    ?.keep?.(object) ?? object) as T;
}

// As a real API server gives it, without what the connection has taken away already.
const pod = {
  ...typeOf("Pod"),
  metadata: {
    name: "clicks-1-tm-x",
    namespace: "jobs",
    uid: "u1",
    resourceVersion: "7",
    labels: {
      "app.kubernetes.io/managed-by": "millrace",
      "app.kubernetes.io/component": "taskmanager",
      "millrace.dev/job": "clicks",
      "millrace.dev/run": "12",
      "pod-template-hash": "6d4cf56db6",
    },
    annotations: { "millrace.dev/rest-port": "9000", "cni.projectcalico.org/podIP": "10.0.0.9/32" },
  },
  spec: { containers: [{ name: "millrace", image: "app:1" }] },
  status: {
    phase: "Running",
    podIP: "10.0.0.9",
    hostIP: "192.168.0.1",
    startTime: "2026-01-01T00:00:00Z",
    conditions: [
      { type: "PodReadyToStartContainers", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" },
      { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no node has 4 CPUs" },
      { type: "Ready", status: "True", lastProbeTime: null, lastTransitionTime: "2026-01-01T00:00:00Z" },
    ],
    containerStatuses: [
      {
        name: "millrace",
        ready: true,
        restartCount: 3,
        image: "registry.example/app:1",
        imageID: "registry.example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 40s" } },
        lastState: {
          terminated: { exitCode: 1, reason: "Error", message: "RESTORE_FAILED", containerID: "containerd://0123", finishedAt: "x" },
        },
        resources: { requests: { cpu: "1", memory: "2Gi" } },
        volumeMounts: [{ name: "work", mountPath: "/var/millrace" }],
      },
    ],
  },
} as unknown as Pod;

test("of a pod a third is kept, and all that is read of one", () => {
  const copy = copyOf(pod);
  expect(podSeen(copy)).toEqual(podSeen(pod));
  expect(podSeen(copy)).toMatchObject({
    run: 12,
    component: "taskmanager",
    restPort: 9000,
    restarts: 3,
    ready: true,
    message: "RESTORE_FAILED",
  });
  expect(JSON.stringify(copy).length).toBeLessThan(JSON.stringify(pod).length * 0.6);
  expect(JSON.stringify(copy)).not.toMatch(/sha256|hostIP|calico|volumeMounts|containerID/);
});

test("a resource is kept whole, without the manifest that kubectl leaves on it", () => {
  const job: StreamJob = {
    ...typeOf("StreamJob"),
    metadata: {
      name: "clicks",
      namespace: "jobs",
      generation: 2,
      finalizers: ["millrace.dev/streamjob"],
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}", "millrace.dev/rollback-to": "stable", team: "web" },
    },
    spec: { job: { module: "job.ts" }, checkpoints: { storage: "s3://bucket/clicks" } },
  };
  expect(copyOf(job)).toEqual({
    ...job,
    metadata: { ...job.metadata, annotations: { "millrace.dev/rollback-to": "stable", team: "web" } },
  });
});
