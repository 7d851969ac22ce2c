// Conditions of a resource, as Kubernetes' tools read them: made from what is known, never decided upon.
import type { Condition } from "millrace/api";
import type { AnyStep, Draft, Problem } from "./draft.ts";

interface Before {
  readonly metadata: { readonly generation?: number };
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
}

export interface Readiness extends Problem {
  readonly status: Condition["status"];
}

/**
 * The manifest's generation once it is known what it asks for: what it needs is in progress, or nothing is left to do. Before that a
 * waiting client would take the conditions of the manifest before for those of the new one.
 */
export function observedGeneration(
  resource: Before,
  inProgress: boolean,
  { step, againAfterMs }: Pick<Draft<unknown, AnyStep>, "step" | "againAfterMs">,
): number | undefined {
  const atRest = step.kind === "wait" && againAfterMs !== 0;
  return inProgress || atRest ? resource.metadata.generation : resource.status?.observedGeneration;
}

export interface ConditionParts {
  /** As it is now: a condition whose status stays keeps its time. */
  readonly resource: Before;
  readonly nowMs: number;
  /** The generation that the new status speaks of. */
  readonly generation: number | undefined;
  readonly ready: Readiness;
  /** Undefined: nothing is in progress. */
  readonly progress: Problem | undefined;
  /** Undefined: nothing is wrong. */
  readonly degraded: Problem | undefined;
}

const maxMessage = 2000;

export function conditionsFrom({ resource, nowMs, generation, ready, progress, degraded }: ConditionParts): readonly Condition[] {
  const condition = (type: string, status: Condition["status"], { reason, message }: Problem): Condition => {
    const before = resource.status?.conditions?.find((one) => one.type === type);
    return {
      type,
      status,
      reason,
      message: message.slice(0, maxMessage),
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z"),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  };
  return [
    condition("Ready", ready.status, ready),
    progress === undefined
      ? condition("Progressing", "False", { reason: "Idle", message: "nothing is in progress" })
      : condition("Progressing", "True", progress),
    degraded === undefined
      ? condition("Degraded", "False", { reason: "AsExpected", message: "nothing is wrong" })
      : condition("Degraded", "True", degraded),
  ];
}
