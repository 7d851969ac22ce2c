// Carries out one step for an EmbeddedStreamApp. Each of them may be carried out twice: whoever died after it does it again.
import type { ObjectCache } from "../controller/object-cache.ts";
import type { Machine } from "../ports/machine.ts";
import type { EmbeddedStreamApp, StatefulSet } from "../ports/objects.ts";
import { createOnce, deleteAll, markResource } from "../resource/act.ts";
import type { Cluster } from "../ports/cluster.ts";
import { builtAnnotation } from "../resource/names.ts";
import { appTokenSecret } from "./build/support.ts";
import { appFinalizer, keyOfApp } from "./names.ts";
import type { AppStep } from "./observed.ts";
import { appRevisionObject } from "./revision.ts";

export interface AppActParts {
  readonly cluster: Cluster;
  readonly cache: ObjectCache;
  readonly machine: Machine;
}

export async function carryOut(step: AppStep, app: EmbeddedStreamApp, { cluster, cache, machine }: AppActParts): Promise<void> {
  switch (step.kind) {
    case "wait":
      return;
    case "addFinalizer":
    case "removeFinalizer":
      return markResource(cluster, app, { kind: step.kind, finalizer: appFinalizer });
    case "dropAnnotation":
      return markResource(cluster, app, step);
    case "createToken":
      return createOnce(cluster, cache, appTokenSecret(app, machine.secret()));
    case "createRevision":
      return createOnce(cluster, cache, appRevisionObject(app, step.revision));
    case "apply":
      for (const object of step.objects) {
        const wanted = object.kind === "StatefulSet" ? await withTheirs(cluster, object as StatefulSet) : object;
        cache.wrote(await cluster.apply(wanted));
      }
      return;
    case "delete":
      return deleteAll({ cluster, cache }, keyOfApp(app).namespace, step.targets, ["Pod", "StatefulSet"]);
  }
}

// The claims of a StatefulSet cannot be changed. Its pods are not made anew by a newer operator, nor by a change of their number.
async function withTheirs(cluster: Cluster, wanted: StatefulSet): Promise<StatefulSet> {
  const there = await cluster.get("StatefulSet", { namespace: wanted.metadata.namespace ?? "", name: wanted.metadata.name });
  if (there === undefined) return wanted;
  const claims = there.spec["volumeClaimTemplates"];
  const same = there.metadata.annotations?.[builtAnnotation] === wanted.metadata.annotations?.[builtAnnotation];
  const spec = { ...wanted.spec, ...(same ? { template: there.spec["template"] } : {}) };
  return { ...wanted, spec: claims === undefined ? spec : { ...spec, volumeClaimTemplates: claims } };
}
