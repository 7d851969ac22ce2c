// A StreamJob, to the loop that all kinds of resources share.
import type { JobClient } from "../ports/job-client.ts";
import { type ReconcilerParts, ResourceReconciler } from "../resource/reconciler.ts";
import { carryOut } from "./act.ts";
import { decide } from "./decide.ts";
import { observe } from "./observe.ts";
import type { Observed } from "./observed.ts";
import type { Step } from "./step.ts";

export interface StreamJobParts extends ReconcilerParts {
  readonly client: JobClient;
  readonly defaultImage: string | undefined;
}

export const streamJobReconciler = (parts: StreamJobParts): ResourceReconciler<"StreamJob", Observed, Step> =>
  new ResourceReconciler(
    {
      kind: "StreamJob",
      observe: (job, look) => observe(job, { ...look, client: parts.client, defaultImage: parts.defaultImage }),
      decide,
      carryOut: (step, job, { pods }) => carryOut(step, job, pods, parts),
      refusable: new Set(["startSavepoint", "rescale"]),
      asksAtRest: ({ status }) => status?.active !== undefined && status.active.phase !== "finished",
    },
    parts,
  );
