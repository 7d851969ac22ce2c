// Labels, annotations and names that the objects of every kind of resource have. What they are called is part of the operator's reference.
import { hash } from "node:crypto";

export const runLabel = "millrace.dev/run";
export const componentLabel = "app.kubernetes.io/component";
export const managedByLabel = "app.kubernetes.io/managed-by";
export const managedBy = "millrace";
export const rollbackAnnotation = "millrace.dev/rollback-to";
/** Of what an object was built: an object with another value is applied again. */
export const builtAnnotation = "millrace.dev/built-from";

const longestName = 52;

/** Keeps names within what Kubernetes takes: a long one ends in a digest of itself. */
export function shortName(...parts: readonly string[]): string {
  const name = parts.join("-");
  if (name.length <= longestName) return name;
  return `${name.slice(0, longestName - 9).replace(/[^a-z0-9]+$/, "")}-${digest(name).slice(0, 8)}`;
}

export const digest = (text: string): string => hash("sha256", text, "hex");
