// The pod that deletes a savepoint's files: the job's own image, with the job's own access to the storage, also when the job is gone.
import { typeOf } from "../ports/kind-table.ts";
import type { Pod, Savepoint } from "../ports/objects.ts";
import { managedBy, managedByLabel, shortName } from "../resource/names.ts";
import { strategicMerge } from "../streamjob/build/strategic-merge.ts";

export const disposalPodName = (savepoint: Savepoint): string => shortName(savepoint.metadata.name, "dispose");

export function disposalPod(savepoint: Savepoint): Pod {
  const { access, location = "" } = savepoint.status ?? {};
  const { endpoint, region } = JSON.parse(access?.s3 ?? "{}") as { readonly endpoint?: string; readonly region?: string };
  const template = JSON.parse(access?.podTemplate ?? "{}") as { readonly spec?: object };
  const spec = strategicMerge(
    {
      restartPolicy: "Never",
      activeDeadlineSeconds: 300,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "millrace",
          image: access?.image ?? "",
          args: [
            ...["savepoint", "dispose", location],
            ...(endpoint === undefined ? [] : ["--s3-endpoint", endpoint]),
            ...(region === undefined ? [] : ["--s3-region", region]),
          ],
          terminationMessagePolicy: "FallbackToLogsOnError",
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
          volumeMounts: [{ name: "work", mountPath: "/tmp" }],
        },
      ],
      volumes: [{ name: "work", emptyDir: {} }],
    },
    template.spec ?? {},
  ) as Pod["spec"];
  return {
    ...typeOf("Pod"),
    metadata: {
      name: disposalPodName(savepoint),
      namespace: savepoint.metadata.namespace ?? "",
      // Not the job's label: its pods are counted by that.
      labels: { [managedByLabel]: managedBy, "millrace.dev/savepoint": savepoint.metadata.name.slice(0, 63) },
      ownerReferences: [
        {
          apiVersion: savepoint.apiVersion,
          kind: savepoint.kind,
          name: savepoint.metadata.name,
          uid: savepoint.metadata.uid ?? "",
          controller: true,
        },
      ],
    },
    spec,
  };
}
