// Where each kind is found in the Kubernetes API.
import type { Kind } from "./objects.ts";

export interface KindInfo {
  readonly apiVersion: string;
  readonly plural: string;
}

export const kindTable: Readonly<Record<Kind, KindInfo>> = {
  StreamJob: { apiVersion: "millrace.dev/v1alpha1", plural: "streamjobs" },
  Savepoint: { apiVersion: "millrace.dev/v1alpha1", plural: "savepoints" },
  EmbeddedStreamApp: { apiVersion: "millrace.dev/v1alpha1", plural: "embeddedstreamapps" },
  MicroBatchJob: { apiVersion: "millrace.dev/v1alpha1", plural: "microbatchjobs" },
  Deployment: { apiVersion: "apps/v1", plural: "deployments" },
  StatefulSet: { apiVersion: "apps/v1", plural: "statefulsets" },
  PersistentVolumeClaim: { apiVersion: "v1", plural: "persistentvolumeclaims" },
  Pod: { apiVersion: "v1", plural: "pods" },
  Service: { apiVersion: "v1", plural: "services" },
  ConfigMap: { apiVersion: "v1", plural: "configmaps" },
  Secret: { apiVersion: "v1", plural: "secrets" },
  ServiceAccount: { apiVersion: "v1", plural: "serviceaccounts" },
  Role: { apiVersion: "rbac.authorization.k8s.io/v1", plural: "roles" },
  RoleBinding: { apiVersion: "rbac.authorization.k8s.io/v1", plural: "rolebindings" },
  Lease: { apiVersion: "coordination.k8s.io/v1", plural: "leases" },
  ControllerRevision: { apiVersion: "apps/v1", plural: "controllerrevisions" },
  PodDisruptionBudget: { apiVersion: "policy/v1", plural: "poddisruptionbudgets" },
  NetworkPolicy: { apiVersion: "networking.k8s.io/v1", plural: "networkpolicies" },
  Event: { apiVersion: "v1", plural: "events" },
};

/** The type line of an object of a kind. */
export function typeOf<K extends Kind>(kind: K): { readonly apiVersion: string; readonly kind: K } {
  return { apiVersion: kindTable[kind].apiVersion, kind };
}
