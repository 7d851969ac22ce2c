// What an EmbeddedStreamApp has beside its pods: the token, the headless Service by which pods and queries find them, a disruption budget.
import { typeOf } from "../../ports/kind-table.ts";
import type { AnyObject, EmbeddedStreamApp, ObjectMeta, Secret } from "../../ports/objects.ts";
import { ownerOf } from "../../streamjob/build/owner.ts";
import { withDigest } from "../../streamjob/build/support.ts";
import { appLabels, appSelector, appSetName, appTokenName, keyOfApp } from "../names.ts";
import { appPorts } from "./stateful-set.ts";

const metadataOf = (app: EmbeddedStreamApp, name: string): ObjectMeta => ({
  ...{ name, namespace: keyOfApp(app).namespace, labels: appLabels(app.metadata.name), ownerReferences: [ownerOf(app)] },
});

export function appObjects(app: EmbeddedStreamApp): readonly AnyObject[] {
  const { name } = app.metadata;
  const { queries = {} } = app.spec;
  const port = (its: string, number: number): object => ({ name: its, port: number, targetPort: its, protocol: "TCP" });
  const service = {
    ...typeOf("Service"),
    metadata: metadataOf(app, appSetName(name)),
    spec: {
      clusterIP: "None",
      // Whoever asks for a key is sent on to the pod that has it, also while that one restores others.
      publishNotReadyAddresses: true,
      selector: appSelector(name),
      ports: [port("rest", appPorts.rest), ...((queries.enabled ?? true) ? [port("queries", queries.port ?? 7070)] : [])],
    },
  };
  const budget = {
    ...typeOf("PodDisruptionBudget"),
    metadata: metadataOf(app, appSetName(name)),
    spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow", selector: { matchLabels: appSelector(name) } },
  };
  return [service, budget].map((object) => withDigest(object as AnyObject));
}

export function appTokenSecret(app: EmbeddedStreamApp, token: string): Secret {
  return {
    ...typeOf("Secret"),
    metadata: metadataOf(app, appTokenName(app.metadata.name)),
    type: "Opaque",
    data: { token: Buffer.from(token).toString("base64") },
  };
}
