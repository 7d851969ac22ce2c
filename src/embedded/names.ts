// Names and labels of the objects of an EmbeddedStreamApp. What they are called is part of the operator's reference.
import { ownerLabels } from "../controller/owner-labels.ts";
import type { EmbeddedStreamApp } from "../ports/objects.ts";
import { managedBy, managedByLabel, shortName } from "../resource/names.ts";

export const appFinalizer = "millrace.dev/embeddedstreamapp";
/** On pods: the revision that they run. */
export const revisionLabel = "millrace.dev/revision";

export function appLabels(app: string): Readonly<Record<string, string>> {
  return { [managedByLabel]: managedBy, "app.kubernetes.io/name": app, [ownerLabels.EmbeddedStreamApp]: app };
}

/** Pods have these and more; a StatefulSet's selector never changes. */
export const appSelector = (app: string): Readonly<Record<string, string>> => ({ [ownerLabels.EmbeddedStreamApp]: app });

export const appSetName = (app: string): string => shortName(app, "app");
export const appTokenName = (app: string): string => shortName(app, "app", "token");

export const keyOfApp = (app: EmbeddedStreamApp): { readonly namespace: string; readonly name: string } => ({
  namespace: app.metadata.namespace ?? "",
  name: app.metadata.name,
});

/** The ordinal of a pod of the StatefulSet; -1 for one that is none of it. */
export function ordinalOf(pod: string, app: string): number {
  const match = /-(\d+)$/.exec(pod);
  return match !== null && pod === `${appSetName(app)}-${match[1] ?? ""}` ? Number(match[1]) : -1;
}
