// Paths and queries of the Kubernetes API.
import type { ListScope, ObjectKey } from "../ports/cluster.ts";
import { kindTable } from "../ports/kind-table.ts";
import type { Kind } from "../ports/objects.ts";

export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const { apiVersion, plural } = kindTable[kind];
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

export const objectPath = (kind: Kind, { namespace, name }: ObjectKey): string =>
  `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;

export function labelSelector({ labels = {} }: ListScope): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
