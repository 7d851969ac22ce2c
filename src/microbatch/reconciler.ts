// A MicroBatchJob, to the loop that all kinds of resources share.
import type { DriverClient } from "../ports/driver-client.ts";
import { type ReconcilerParts, ResourceReconciler } from "../resource/reconciler.ts";
import { carryOut } from "./act.ts";
import { decide } from "./decide.ts";
import { observe } from "./observe.ts";
import type { BatchObserved } from "./observed.ts";
import type { BatchStep } from "./step.ts";

export interface MicroBatchParts extends ReconcilerParts {
  readonly driver: DriverClient;
  readonly defaultImage: string | undefined;
}

/** A driver that was asked to end is seen to do so a moment later. */
const stopMs = 100;

export const microBatchReconciler = (parts: MicroBatchParts): ResourceReconciler<"MicroBatchJob", BatchObserved, BatchStep> =>
  new ResourceReconciler(
    {
      kind: "MicroBatchJob",
      observe: (job, look) => observe(job, { ...look, client: parts.driver, defaultImage: parts.defaultImage }),
      decide,
      carryOut: (step, job, { pods }) => carryOut(step, job, pods, parts),
      refusable: new Set(["stop", "stopWithSavepoint"]),
      momentMs: { stop: stopMs, stopWithSavepoint: stopMs },
      asksAtRest: ({ status }) => status?.active !== undefined,
    },
    parts,
  );
