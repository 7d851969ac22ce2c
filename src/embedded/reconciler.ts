// An EmbeddedStreamApp, to the loop that all kinds of resources share.
import type { AppClient, TopicClient } from "../ports/app-client.ts";
import { type ReconcilerParts, ResourceReconciler } from "../resource/reconciler.ts";
import { carryOut } from "./act.ts";
import { decide } from "./decide.ts";
import { observe } from "./observe.ts";
import type { AppObserved, AppStep } from "./observed.ts";

export interface EmbeddedParts extends ReconcilerParts {
  readonly app: AppClient;
  readonly topics: TopicClient;
}

export const embeddedReconciler = (parts: EmbeddedParts): ResourceReconciler<"EmbeddedStreamApp", AppObserved, AppStep> =>
  new ResourceReconciler(
    {
      kind: "EmbeddedStreamApp",
      observe: (app, look) =>
        observe(app, { ...look, secret: (key) => parts.cluster.get("Secret", key), client: parts.app, topics: parts.topics }),
      decide,
      carryOut: (step, app) => carryOut(step, app, parts),
      refusable: new Set(),
      asksAtRest: () => true,
    },
    parts,
  );
